"""Weights to start from: where torchvision's ImageNet weights are, and reading a state dict from a file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

from phenoviews.errors import UserError


def imagenet_source(name: str) -> dict[str, str]:
    """`{"url", "name", "sha256_prefix"}` of torchvision's ImageNet weights of its model `name` (`vgg11_bn`).

    IMAGENET1K_V1, which `pretrained=True` meant when the papers were written. `sha256_prefix`: the first
    eight hex digits of the file's SHA-256, which torchvision writes into the file's name.
    """
    url = get_model_weights(name).IMAGENET1K_V1.url
    file = url.rsplit("/", 1)[-1]
    (prefix,) = re.findall(r"-([0-9a-f]{8})\.pth$", file)
    return {"url": url, "name": file, "sha256_prefix": prefix}


def load_state(path: str | Path) -> dict[str, Tensor]:
    """The tensors by name in a .pt or .pth file (a saved state dict) or a .npz file (arrays), on the CPU.

    There may be none: a head need not have weights. No code in the file is executed. Raises `UserError` naming the file
    where it is missing, of another type or not a state dict of tensors.
    """
    path = Path(path)
    if path.suffix not in (".pt", ".pth", ".npz"):
        raise UserError(f"{path}: weights are read from .pt, .pth and .npz files")
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                state = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise a dozen types on bytes that are not theirs
        reason = str(error).strip().split("\n")[0].split(". ")[0]
        raise UserError(f"{path}: not a readable state dict ({type(error).__name__}: {reason})") from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: not a state dict of tensors but of type {type(state).__name__}")
    others = [f"{k} ({type(v).__name__})" for k, v in state.items() if not isinstance(v, Tensor)]
    if others:
        raise UserError(f"{path}: not a state dict of tensors: {_some(others)}; save model.state_dict()")
    return state


def load_into(model: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Copy `state` into a backbone. Strict, but for a classifier that the backbone has not (`classifier.*`,
    `fc.*`) and for BatchNorm's step counters, which older files lack.

    Raises `UserError` naming `source` and the missing, unexpected and mis-shaped entries, in one line.
    """
    own = model.state_dict()
    state = {k: v for k, v in state.items() if k in own or not k.startswith(("classifier.", "fc."))}
    missing = [k for k in own if k not in state and not k.endswith(".num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    shapes = [
        f"{k} {tuple(state[k].shape)} for {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    said = "; ".join(f"{what}: {_some(names)}" for what, names in problems.items() if names)
    if said:
        advice = "check kind, stem, width and batch_norm"
        raise UserError(f"{source}: these weights do not fit the backbone; {said}; {advice}")
    model.load_state_dict(own | state)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
