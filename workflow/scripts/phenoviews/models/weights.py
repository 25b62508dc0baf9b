"""Weights to start from: where torchvision's ImageNet weights are, and reading a state dict from a file."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

from phenoviews.errors import UserError

COUNTER = ".num_batches_tracked"


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
    """The tensors by name in a .pt, .pth, .ckpt or .tar file (a saved state dict, or a training's checkpoint with one
    in it), a .safetensors or a .npz file (arrays), on the CPU.

    There may be none: a head need not have weights. No code in the file is executed. Raises `UserError` naming the file
    where it is missing, of another type or not a state dict of tensors.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise UserError(f"{path}: weights are read from {', '.join(FORMATS)} files")
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        state = FORMATS[path.suffix](path)
    except Exception as error:  # the readers raise a dozen types on bytes that are not theirs
        reason = str(error).strip().split("\n")[0].split(". ")[0]
        raise UserError(
            f"{path}: not a readable state dict ({type(error).__name__}: {reason}); save model.state_dict() alone"
        ) from error
    if not isinstance(state, dict):
        raise UserError(f"{path}: not a state dict of tensors but of type {type(state).__name__}")
    state = _within(path, state)
    others = [f"{k} ({type(v).__name__})" for k, v in state.items() if not isinstance(v, Tensor)]
    if others:
        raise UserError(f"{path}: not a state dict of tensors: {_some(others)}; save model.state_dict()")
    return state


def _torch(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _npz(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def _safetensors(path: Path) -> dict[str, Tensor]:
    """The format is a length, a header of JSON and the bytes of the tensors, whose places in the file it tells:
    https://github.com/huggingface/safetensors#format."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < start:
        raise ValueError("truncated")
    state = {}
    for name, about in json.loads(data[8:start]).items():
        if name == "__metadata__":
            continue
        first, last = (start + offset for offset in about["data_offsets"])
        dtype, shape = DTYPES[about["dtype"]], about["shape"]
        if not start <= first <= last <= len(data) or last - first != dtype.itemsize * math.prod(shape):
            raise ValueError(f"the bytes of {name} are not all there")
        # Of no bytes there is no buffer.
        flat = (
            torch.frombuffer(bytearray(data[first:last]), dtype=dtype) if last > first else torch.empty(0, dtype=dtype)
        )
        state[name] = flat.reshape(shape)
    return state


FORMATS: dict[str, Callable[[Path], Any]] = {
    ".pt": _torch,
    ".pth": _torch,
    ".ckpt": _torch,
    ".tar": _torch,
    ".safetensors": _safetensors,
    ".npz": _npz,
}
DTYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8},
    "BOOL": torch.bool,
}


def _within(path: Path, state: dict[str, Any]) -> dict[str, Any]:
    """The state dict in a training's checkpoint: the one entry that is a dict of tensors; else `state` itself."""
    inner = [name for name, value in state.items() if isinstance(value, dict) and _is_state(value)]
    if len(inner) > 1:
        raise UserError(f"{path}: holds several state dicts, {', '.join(inner)}; save the encoder's alone")
    found: dict[str, Any] = state[inner[0]] if inner else state
    return found


def _is_state(value: dict[Any, Any]) -> bool:
    return bool(value) and all(isinstance(name, str) and isinstance(one, Tensor) for name, one in value.items())


def load_into(
    model: nn.Module,
    state: dict[str, Tensor],
    source: str,
    heads: tuple[str, ...] = ("classifier.", "fc."),
    advice: str = "check kind, stem, width and batch_norm",
) -> None:
    """Copy `state` into a backbone. Strict, but for a classifier that the backbone has not (whose names begin with one
    of `heads`) and for BatchNorm's step counters, which older files lack.

    Raises `UserError` naming `source` and the missing, unexpected and mis-shaped entries, and with `advice`, in one
    line.
    """
    own = model.state_dict()
    state = {k: v for k, v in state.items() if k in own or not k.startswith(heads)}
    missing = [k for k in own if k not in state and not k.endswith(COUNTER)]
    unexpected = [k for k in state if k not in own]
    shapes = [
        f"{k} {tuple(state[k].shape)} for {tuple(own[k].shape)}"
        for k in own
        if k in state and state[k].shape != own[k].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "of another shape": shapes}
    said = "; ".join(f"{what}: {_some(names)}" for what, names in problems.items() if names)
    if said:
        raise UserError(f"{source}: these weights do not fit the backbone; {said}; {advice}")
    model.load_state_dict(own | state)


def stripped(own: dict[str, Tensor], state: dict[str, Tensor], source: str, prefix: str) -> dict[str, Tensor]:
    """`state` under a backbone's `own` names.

    Where its names are longer, by the part that an encoder had in another's training (`module.`, `backbone.`,
    `encoder.`, several of them), that is found, or given as `prefix`; what lies beside it (heads, queues) is left out,
    and told on stderr.

    Raises `UserError` naming `source` where several encoders are in it.
    """
    needed = [name for name in own if not name.endswith(COUNTER)]
    if not prefix and (not needed or needed[0] in state):
        return state
    ends = [name.removesuffix(needed[0]) for name in state if name.endswith(f".{needed[0]}")]
    prefixes = [prefix] if prefix else [start for start in ends if all(start + name in state for name in needed)]
    if not prefixes:
        return state
    if len(prefixes) > 1:
        one = f"choose by the backbone's `prefix: {prefixes[0]}`"
        raise UserError(f"{source}: holds several encoders, under {', '.join(prefixes)}; {one}")
    left_out = sorted(
        {name.removeprefix(prefixes[0]).split(".")[0] for name in state if not name.startswith(prefixes[0])}
    )
    if left_out:
        print(f"phenoviews: {source}: beside {prefixes[0]}* it holds {_some(left_out)}, left out", file=sys.stderr)
    return {name.removeprefix(prefixes[0]): value for name, value in state.items() if name.startswith(prefixes[0])}


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
