"""Views: a declared pipeline of random transformations, executed on a batch of images where it lies."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from phenoviews.errors import UserError
from phenoviews.views import colour, geometry
from phenoviews.views.colour import Colour
from phenoviews.views.draw import canvas_of
from phenoviews.views.geometry import Drawn, Geometry
from phenoviews.views.picture import Picture, chunks
from phenoviews.views.resample import Resampling

Operation = Colour | Geometry
Stage = Colour | Resampling

OPERATIONS: dict[str, Callable[..., Operation]] = {
    "random_resized_crop": geometry.RandomResizedCrop,
    "random_crop": geometry.RandomCrop,
    "center_crop": geometry.CenterCrop,
    "pad": geometry.Pad,
    "random_rotation": geometry.RandomRotation,
    "random_affine": geometry.RandomAffine,
    "random_rotate_90": geometry.RandomRotate90,
    "random_horizontal_flip": geometry.RandomHorizontalFlip,
    "random_vertical_flip": geometry.RandomVerticalFlip,
    "color_jitter": colour.ColorJitter,
    "random_grayscale": colour.RandomGrayscale,
    "random_gain": colour.RandomGain,
    "random_contrast": colour.RandomContrast,
    "random_gamma": colour.RandomGamma,
    "random_invert": colour.RandomInvert,
    "random_solarize": colour.RandomSolarize,
    "gaussian_blur": colour.GaussianBlur,
    "random_erasing": colour.RandomErasing,
    "normalize": colour.Normalize,
}

Declared = Mapping[str, Mapping[str, Any] | None]  # an operation of a pipeline: its name, and its parameters

CHUNK = 2**16  # output pixels per thread that go through a pipeline together: what a processor's cache holds


class Transform:
    """A pipeline of the operations of `OPERATIONS`, in their order, each drawn per image.

    `pipeline` is a list of one-key mappings {operation: parameters} with exactly one `normalize`; `mean` and `std`, of
    values in [0, 1], have a number for each channel. Geometry, blur, erasing, inversion and solarization are the same
    for all channels of an image; what has a meaning for red, green and blue alone is refused where there are neither
    three channels nor one. The output is always `size` × `size`: geometry between two colour operations
    ends with a resize to it if it has none, and a pipeline without geometry begins with one. So colours are changed at
    that size; or, if they come before all geometry, at the images' own.
    """

    def __init__(self, pipeline: Sequence[Declared], size: int, mean: Any, std: Any):
        operations = [build(entry, mean, std) for entry in pipeline]
        count = sum(isinstance(operation, colour.Normalize) for operation in operations)
        if count != 1:
            raise UserError(f"transform: {count} normalize operations in the pipeline; give exactly one")
        self.size, self.channels = size, len(mean)
        self.operations = tuple(operation for operation in operations if getattr(operation, "p", 1) > 0)
        if self.channels not in (1, 3):
            for operation, (name,) in zip(operations, pipeline, strict=True):
                if operation in self.operations and isinstance(operation, Colour) and (what := operation.of_rgb):
                    raise UserError(f"transform: {name}: {what} of {self.channels} channels has no meaning; take it "
                                    "out, or take random_gain, random_contrast or random_gamma")  # fmt: skip
        self.random = any(operation.random for operation in self.operations)
        self.stages = stages(self.operations, size)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """One view of each image: (n, K, size, size) float32, normalised by K means.

        `images`: (n, C, H, W) with C = 1 or K, uint8, uint16, or floating within [0, 1]; one channel becomes K.
        `generator`, on their device, decides all; nothing waits for the device.
        """
        check(images, self.channels)
        n, _, height, width = images.shape
        return self.apply(images, self.draw(n, height, width, generator))

    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> list[Drawn]:
        """The parameters for n images of height × width: for each of `operations` a dict of (n, …) tensors."""
        drawn: list[Drawn] = [{}] * len(self.operations)
        canvas = canvas_of(n, height, width, generator.device)
        square = canvas_of(n, self.size, self.size, generator.device)
        for stage, indices in self.stages:
            for index in indices:
                operation = self.operations[index]
                drawn[index] = operation.draw(canvas, generator)
                if isinstance(operation, Geometry):
                    canvas = operation.after(drawn[index], canvas, self.size)
            canvas = square if isinstance(stage, Resampling) else canvas
        return drawn

    @torch.no_grad()
    def apply(self, images: Tensor, drawn: list[Drawn]) -> Tensor:
        """The views of `images` for the parameters `drawn`."""
        scale = check(images, self.channels)
        n, device = len(images), images.device
        out = torch.empty(n, self.channels, self.size, self.size, device=device)
        if n == 0:
            return out
        rows = max(1, CHUNK * torch.get_num_threads() // self.size**2 if device.type == "cpu" else n)
        parts = range(0, n, rows)
        with torch.autocast(device.type, enabled=False):
            prepared = chunks(self._prepare(images, drawn), rows, len(parts))
            for start, values in zip(parts, prepared, strict=True):
                pixels = images[start : start + rows].to(torch.float32)
                picture = Picture(pixels if scale == 1 else pixels.mul_(scale))
                for (stage, _), value in zip(self.stages, values, strict=True):
                    stage.apply(picture, value)
                picture.work_out(out[start : start + rows])
        return out

    def _prepare(self, images: Tensor, drawn: list[Drawn]) -> list[Any]:
        n, channels, height, width = images.shape
        prepared = []
        for stage, indices in self.stages:
            if isinstance(stage, Resampling):
                prepared.append(stage.prepare([drawn[i] for i in indices], n, height, width, images.device))
                height = width = self.size
            else:
                prepared.append(stage.prepare(drawn[indices[0]], channels))
                channels = self.channels if isinstance(stage, colour.Normalize) else channels
        return prepared


def build(entry: Declared, mean: Any, std: Any) -> Operation:
    """The operation that one entry of a pipeline declares."""
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UserError(f"transform: {entry!r} is not one operation with its parameters; write {{name: {{…}}}}")
    ((name, parameters),) = entry.items()
    if name not in OPERATIONS:
        near = " or ".join(difflib.get_close_matches(str(name), OPERATIONS, n=2, cutoff=0))
        raise UserError(f"transform: unknown operation {name!r}; did you mean {near}?")
    kind = OPERATIONS[name]
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in (parameters or {}).items()}
    known = [] if kind is colour.Normalize else list(inspect.signature(kind).parameters)
    unknown = [key for key in given if key not in known]
    if unknown:
        raise UserError(f"transform: {name} has no parameter {unknown[0]!r}; it has {', '.join(known) or 'none'}")
    if kind is colour.Normalize:
        given = {"mean": tuple(mean), "std": tuple(std)}
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise UserError(f"transform: {name}: {error}; correct its parameters") from error


def stages(operations: Sequence[Operation], size: int) -> list[tuple[Stage, list[int]]]:
    """What is done one after the other: resamplings and colour operations, with the indices of the operations in each.

    Geometry joins the resampling just before it, unless it fills with zeros what a resize has already ended: the
    resize's edge must be made before it can be turned. Flips and quarter turns join even over colour operations that do
    not mind.
    """
    groups: list[tuple[Colour | list[Geometry], list[int]]] = []
    open_to: tuple[list[Geometry], list[int]] | None = None  # the resampling that may still be joined,
    adjacent = False  # and whether it is the last of the groups
    for index, operation in enumerate(operations):
        if isinstance(operation, Colour):
            groups.append((operation, [index]))
            adjacent = False
            open_to = open_to if operation.squares else None
            continue
        joins = adjacent or operation.squares
        if not joins or open_to is None or (operation.fills and any(member.resizes for member in open_to[0])):
            open_to = ([], [])
            groups.append(open_to)
            adjacent = True
        members, indices = open_to
        members.append(operation)
        indices.append(index)
    built: list[tuple[Stage, list[int]]] = [
        (members if isinstance(members, Colour) else Resampling(tuple(members), size), indices)
        for members, indices in groups
    ]
    if not any(isinstance(stage, Resampling) for stage, _ in built):
        built.insert(0, (Resampling((), size), []))
    return built


def check(images: Tensor, channels: int) -> float:
    """What the images' values are to be multiplied with to lie in [0, 1]; a `UserError` if they are none."""
    if images.ndim != 4 or images.shape[1] not in (1, channels):
        raise UserError(
            f"images of shape {tuple(images.shape)}: views need (n, C, H, W) with 1 or {channels} channels C, for "
            "as many as there are means"
        )
    if images.dtype == torch.uint8:
        return 1 / 255
    if images.dtype == torch.uint16:
        return 1 / 65535
    if images.is_floating_point():
        return 1.0
    raise UserError(f"images of type {images.dtype}: views need uint8, uint16, or floating values within [0, 1]")
