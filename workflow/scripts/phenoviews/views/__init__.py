"""Views: a declared pipeline of random transformations, executed on a batch of images where it lies."""

from __future__ import annotations

import difflib
import inspect
from typing import Any

import torch
from torch import Tensor

from phenoviews.errors import UserError
from phenoviews.views import colour, geometry
from phenoviews.views.draw import Canvas
from phenoviews.views.geometry import Drawn, Geometry
from phenoviews.views.picture import Picture, part
from phenoviews.views.resample import Resampling

OPERATIONS: dict[str, type] = {
    "random_resized_crop": geometry.RandomResizedCrop,
    "random_crop": geometry.RandomCrop,
    "center_crop": geometry.CenterCrop,
    "pad": geometry.Pad,
    "random_rotation": geometry.RandomRotation,
    "random_affine": geometry.RandomAffine,
    "random_horizontal_flip": geometry.RandomHorizontalFlip,
    "random_vertical_flip": geometry.RandomVerticalFlip,
    "color_jitter": colour.ColorJitter,
    "random_grayscale": colour.RandomGrayscale,
    "random_invert": colour.RandomInvert,
    "random_solarize": colour.RandomSolarize,
    "gaussian_blur": colour.GaussianBlur,
    "random_erasing": colour.RandomErasing,
    "normalize": colour.Normalize,
}

CHUNK_PIXELS = 2**16  # of the output, per thread: what the processor's cache holds


class Transform:
    """A pipeline of the operations of `OPERATIONS`, in their order, each drawn per image.

    `pipeline` is a list of one-key mappings {operation: parameters}, with exactly one `normalize`. The output is always
    `size` × `size`: a run of geometry operations ends with a resize to it if it has none, and a pipeline without any
    begins with one; so colours are changed at that size (at the images' own, if they come before all geometry).
    `mean` and `std` (three each) are of values in [0, 1].
    """

    def __init__(self, pipeline: list[dict], size: int, mean: Any, std: Any):
        built = [build(entry, mean, std) for entry in pipeline]
        if sum(isinstance(operation, colour.Normalize) for operation in built) != 1:
            raise UserError(
                f"transform {[next(iter(e)) for e in pipeline]}: needs exactly one normalize; add or remove it"
            )
        self.size = size
        self.operations = tuple(operation for operation in built if getattr(operation, "p", 1) > 0)
        self.random = any(operation.random for operation in self.operations)
        self.stages = stages(self.operations, size)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """One view of each image.

        `images`: (n, C, H, W) with C = 1 or 3, uint8, uint16, or floating within [0, 1]; `generator` on their device.
        Returns (n, 3, size, size) float32. Does not wait for the device; the generator's state decides all.
        """
        return self.apply(images, self.draw(len(images), *images.shape[2:], generator))

    def draw(self, n: int, height: int, width: int, generator: torch.Generator) -> list[Drawn]:
        """The parameters of n images, a dict of (n, …) tensors for each of `operations`."""
        drawn = []
        square = Canvas.of(n, self.size, self.size, generator.device)
        still = not any(isinstance(operation, Geometry) for operation in self.operations)
        canvas = square if still else Canvas.of(n, height, width, generator.device)
        previous: Any = None
        for operation in self.operations:
            moves = isinstance(operation, Geometry)
            if previous is not None and isinstance(previous, Geometry) and not moves:
                canvas = square
            values = operation.draw(canvas, generator)
            if moves:
                canvas = operation.step(values, canvas, self.size)[0]
            drawn.append(values)
            previous = operation
        return drawn

    @torch.no_grad()
    def apply(self, images: Tensor, drawn: list[Drawn]) -> Tensor:
        """The views for parameters already drawn."""
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise UserError(f"images of shape {tuple(images.shape)}: views need (n, C, H, W) with C = 1 or 3 channels")
        scale = value_scale(images.dtype)
        n, device = len(images), images.device
        out = torch.empty(n, 3, self.size, self.size, device=device)
        rows = n if device.type != "cpu" else max(1, CHUNK_PIXELS * torch.get_num_threads() // self.size**2)
        with torch.autocast(device.type, enabled=False):
            prepared = self._prepare(images, drawn)
            for start in range(0, n, max(1, rows)):
                chunk = slice(start, start + rows)
                picture = Picture(images[chunk].to(torch.float32), scale)
                for (stage, _), values in zip(self.stages, prepared, strict=True):
                    stage.apply(picture, part(values, chunk))
                out[chunk] = picture.work_out()
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
                channels = 3 if isinstance(stage, colour.Normalize) else channels
        return prepared


def build(entry: dict, mean: Any, std: Any) -> Any:
    """The operation that one entry of a pipeline declares."""
    if not isinstance(entry, dict) or len(entry) != 1:
        raise UserError(f"transform entry {entry!r}: must be one operation with its parameters, as {{normalize: {{}}}}")
    (name, parameters), *_ = entry.items()
    if name not in OPERATIONS:
        near = difflib.get_close_matches(str(name), OPERATIONS, n=3, cutoff=0) if isinstance(name, str) else []
        raise UserError(f"transform operation {name!r}: unknown; did you mean {' or '.join(near)}?")
    kind = OPERATIONS[name]
    known = [p for p in inspect.signature(kind).parameters if kind is not colour.Normalize]
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in (parameters or {}).items()}
    for key in values:
        if key not in known:
            raise UserError(
                f"transform operation {name}: unknown parameter {key!r}; it has {', '.join(known) or 'none'}"
            )
    if kind is colour.Normalize:
        values = {"mean": tuple(float(v) for v in mean), "std": tuple(float(v) for v in std)}
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        raise UserError(f"transform operation {name}: {error}; correct it") from error


def stages(operations: tuple, size: int) -> list[tuple[Any, list[int]]]:
    """Resamplings and colour operations in order, each with the indices of the operations that it carries out.

    A flip goes to the resampling before it if all between them gives the flipped result for the flipped image.
    """
    groups: list[list[int]] = []
    reachable: int | None = None  # the group that a flip may still join
    for index, operation in enumerate(operations):
        flip = isinstance(operation, geometry.RandomHorizontalFlip)
        after_geometry = bool(groups) and isinstance(operations[groups[-1][-1]], Geometry)
        if isinstance(operation, Geometry) and after_geometry:
            groups[-1].append(index)
        elif flip and reachable is not None:
            groups[reachable].append(index)
        else:
            groups.append([index])
        if isinstance(operation, Geometry) and not (flip and reachable is not None):
            reachable = len(groups) - 1
        elif isinstance(operation, colour.Colour) and not operation.flips:
            reachable = None
    built = [
        (Resampling(tuple(operations[i] for i in group), size), group)
        if isinstance(operations[group[0]], Geometry)
        else (operations[group[0]], group)
        for group in groups
    ]
    if not any(isinstance(stage, Resampling) for stage, _ in built):
        built.insert(0, (Resampling((), size), []))
    return built


def value_scale(dtype: torch.dtype) -> float:
    if dtype == torch.uint8:
        return 1 / 255
    if dtype == torch.uint16:
        return 1 / 65535
    if dtype.is_floating_point:
        return 1.0
    raise UserError(f"images of {dtype}: views need uint8, uint16, or floating values within [0, 1]")
