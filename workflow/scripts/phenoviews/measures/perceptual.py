"""LPIPS: how different two images look to a network fitted to human judgements (Zhang et al., CVPR 2018)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lpips
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from phenoviews.data.pool import Pool
from phenoviews.errors import UserError
from phenoviews.values import table
from phenoviews.views import Transform

SIDE = 64  # pixels; AlexNet's five layers need more than the 32 of MNIST and CIFAR


def network(alexnet: dict[str, Tensor]) -> lpips.LPIPS:
    """LPIPS v0.1 on AlexNet with the given ImageNet weights; nothing is downloaded.

    The package ships the calibrated linear heads only; AlexNet comes from outside.

    Args:
        alexnet: state dict under torchvision's names (`features.0.weight`, …); `classifier.*` is not needed.

    Raises:
        UserError: the state dict is not AlexNet's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lpips calls torchvision by an argument that it has renamed since
        model = lpips.LPIPS(net="alex", version="0.1", pretrained=False, pnet_rand=True, verbose=False)
    heads = torch.load(Path(lpips.__file__).parent / "weights/v0.1/alex.pth", map_location="cpu", weights_only=True)
    # lpips cuts AlexNet's `features` into five slices and keeps each layer's number as its name.
    trunk = {name: f"features.{name.split('.', 2)[2]}" for name in model.state_dict() if name.startswith("net.slice")}
    missing = sorted(set(trunk.values()) - set(alexnet))
    if missing:
        raise UserError(
            f"the weights given for LPIPS are not torchvision's AlexNet: {missing[0]} is missing; "
            "see config key measures.lpips.weights"
        )
    lins = {name.replace("lin", "lins.", 1): value for name, value in heads.items()}
    weights = {name: alexnet[source] for name, source in trunk.items()}
    scaling = {name: value for name, value in model.state_dict().items() if name.startswith("scaling_layer.")}
    try:
        model.load_state_dict({**heads, **lins, **weights, **scaling}, strict=True)
    except RuntimeError as error:
        raise UserError(f"the weights given for LPIPS are not torchvision's AlexNet: {error}") from error
    return model.eval().requires_grad_(False)


@torch.no_grad()
def distance(
    pairs: Iterable[tuple[Tensor, Tensor]],
    alexnet: dict[str, Tensor],
    composites: Sequence[Sequence[Sequence[float]]],
    device: str | torch.device = "cpu",
    batches: int | None = None,
) -> pd.DataFrame:
    """LPIPS between the images of each pair, both upsampled to 64 by 64 pixels (bilinear).

    Args:
        pairs: batches (first, second), each (n, C, H, W) float in [-1, 1]; see `signed`.
        alexnet: AlexNet's state dict, see `network`.
        composites: (k, C, 3), the k pictures in which an image is seen, as from `study.composites`: of each the red,
            green and blue of every channel. The distance is the mean over them.
        device: where to compute.
        batches: number of batches, for the progress bar.

    Returns:
        Values over all images: lpips, the mean; lpips_sd, the sample standard deviation.

    Raises:
        UserError: no images, or a value that is not finite.
    """
    model, paints = network(alexnet).to(device), torch.tensor(composites, device=device)
    values: list[Tensor] = []
    for first, second in tqdm(pairs, total=batches, desc="LPIPS", unit="batch"):
        shown = [_as_rgb(_upsampled(x, device), paints) for x in (first, second)]
        values.append(model(*shown).view(len(first), len(paints)).mean(dim=1))
    if not values:
        raise UserError("LPIPS: there are no images to compare; is the test split empty?")
    each = torch.cat(values).double().cpu().numpy()
    if not np.isfinite(each).all():
        raise UserError("LPIPS: a value is not finite; check the images and the AlexNet weights")
    alone = "" if len(each) > 1 else "one image has no spread"
    return table(
        [
            {"metric": "lpips", "value": each.mean()},
            {"metric": "lpips_sd", "value": None if alone else each.std(ddof=1), "reason": alone},
        ]
    )


def signed(images: Tensor, mean: Iterable[float], std: Iterable[float], white: Iterable[float] = (1.0,)) -> Tensor:
    """Views (n, C, H, W) normalised with `mean` and `std` → the same images in [-1, 1], of which 1 is `white`, a share
    of the highest value for each channel or for all of them (see `data.images.white`)."""
    mean, std, white = (torch.tensor(list(x), device=images.device).view(1, -1, 1, 1) for x in (mean, std, white))
    return ((images.float() * std + mean) / white * 2 - 1).clamp(-1, 1)


def pairs(
    images: Pool,
    shown: dict[str, Any],
    sets: Sequence[Mapping[str, Any]],
    pair: str,
    seed: int,
    batch: int = 256,
    white: Sequence[float] = (1.0,),
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of two views of each image, both (n, C, size, size) in [-1, 1].

    Args:
        images: a pool of (N, C, H, W) uint8, uint16 or float in [0, 1].
        shown: the dataset's size, mean and std, as numbers.
        sets: a transform's sets, each with its `views`; all of them are gone through.
        pair: "views": two independent views; "original_view": the image as it is and a view.
        seed: of the draws.
        white: as in `signed`.
    """
    generator = torch.Generator(images.device).manual_seed(seed)
    for of in sets:
        first, second = (Transform(view, shown["size"], shown["mean"], shown["std"]) for view in of["views"])
        if pair == "original_view":
            first = Transform([{"normalize": {}}], shown["size"], shown["mean"], shown["std"])
        for some in images.batches(batch):
            left, right = (
                signed(view(some, generator), shown["mean"], shown["std"], white) for view in (first, second)
            )
            yield left, right


def _as_rgb(images: Tensor, paints: Tensor) -> Tensor:
    """(n, C, H, W) in [-1, 1] → (n · k, 3, H, W) in [-1, 1]: each image in `paints`, (k, C, 3)."""
    painted = torch.einsum("nchw,kcd->nkdhw", (images + 1) / 2, paints)
    return painted.clamp(0, 1).mul(2).sub(1).flatten(0, 1)


def _upsampled(images: Tensor, device: str | torch.device) -> Tensor:
    images = images.to(device).float()
    return torch.nn.functional.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
