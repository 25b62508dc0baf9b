"""Where a job computes: which GPU is its own, in which precision and memory layout, and how repeatably."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import torch
from torch import nn

from phenoviews.errors import UserError

# Held open until the process ends, and with them the locks.
_held: list[IO[str]] = []


@functools.cache
def claim() -> torch.device:
    """The device of this process: the one GPU that CUDA_VISIBLE_DEVICES names (a scheduler's choice, or a user's who
    wants jobs to share it), else one of those visible that no other process of ours has claimed on this machine,
    waiting for it if need be; the CPU where there is no GPU.

    No context is made on the other GPUs. A second call returns the same device.
    """
    assigned = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    if count == 0:
        if assigned:
            print(f"phenoviews: CUDA_VISIBLE_DEVICES={assigned}, but there is no CUDA here: using the CPU",
                  file=sys.stderr, flush=True)  # fmt: skip
        return torch.device("cpu")
    if assigned and count == 1:
        return torch.device("cuda", 0)
    names = assigned.split(",") if assigned else [str(index) for index in range(count)]
    lock, index = acquire(names, Path(tempfile.gettempdir()) / f"phenoviews-{os.getuid()}")
    _held.append(lock)
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def acquire(names: list[str], folder: Path, poll: float = 1.0) -> tuple[IO[str], int]:
    """Lock one of the GPUs called `names` by a file in `folder`; wait, looking every `poll` seconds, while all are
    taken.

    Returns the lock, which lasts as long as the file object is open and ends with the process however it ends, and
    the GPU's place among `names`.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    waiting = False
    while True:
        for index, name in enumerate(names):
            lock = (folder / f"gpu-{name}.lock").open("w")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock, index
            except BlockingIOError:
                lock.close()
        if not waiting:
            print(f"phenoviews: all of {len(names)} GPUs are taken; waiting for one", file=sys.stderr, flush=True)
            waiting = True
        time.sleep(poll)


def autocast_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """What autocast computes in, None for float32 throughout. `auto`: bfloat16 where the hardware is faster in it,
    about twice (tensor cores from Ampere on; of CPUs AMX, AMD's AVX512-BF16 and Arm's BF16)."""
    match precision:
        case "fp32":
            return None
        case "bf16":
            return torch.bfloat16
        case "fp16":
            if device.type != "cuda":
                raise UserError("training.precision: fp16 needs a GPU; use auto, bf16 or fp32")
            return torch.float16
        case "auto" if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else None
        case "auto":
            return torch.bfloat16 if _cpu_is_faster_in_bfloat16() else None
    raise UserError(f"training.precision: {precision!r} is none of auto, bf16, fp16, fp32")


def name_of(dtype: torch.dtype | None) -> str:
    """What `autocast_dtype` returns, for people: float32, bfloat16, float16."""
    return str(dtype or torch.float32).removeprefix("torch.")


def _cpu_is_faster_in_bfloat16() -> bool:
    """Whether the CPU has instructions that pay, and oneDNN, which computes the convolutions, may use them.

    Intel's AVX512-BF16 without AMX does not pay: it multiplies as many numbers a second as float32, and converting them
    comes on top (tests/benchmarks/README.md: a step takes 1.4 times as long).
    """
    # oneDNN says yes where it may emulate bfloat16, too.
    if not (torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        return False
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", os.environ.get("DNNL_MAX_CPU_ISA", "")).upper()
    if torch.cpu._is_amx_tile_supported() and ("AMX" in limit or limit in ("", "ALL", "DEFAULT")):
        return True
    if torch.cpu._is_avx512_bf16_supported():
        return _made_by_amd() and limit not in ("AVX512_CORE", "AVX512_CORE_VNNI")
    return platform.machine().lower() in ("aarch64", "arm64")


def _made_by_amd() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return "AuthenticAMD" in (cpuinfo.read_text() if cpuinfo.is_file() else platform.processor())


def memory_format(network: nn.Module, device: torch.device) -> torch.memory_format:
    """How `network`'s weights and its images are to lie in memory on `device`: channels last, in which convolutions are
    faster (tests/benchmarks/README.md), except where that is dangerous.

    Dangerous is, on a CPU, a strided 1 × 1 convolution of fewer than 16 input channels, which ResNets of width below
    0.25 have: the gradient of its weights is written past the end of oneDNN's scratch memory (uxlfoundation/oneDNN
    #6035; torch 2.13 with AVX-512, in float32 and in bfloat16). From about 48 px on the process dies of it, or goes on
    with wrong numbers.
    """
    narrow = device.type == "cpu" and any(
        isinstance(layer, nn.Conv2d)
        and layer.kernel_size == (1, 1)
        and max(layer.stride) > 1
        and layer.in_channels < 16
        for layer in network.modules()
    )
    return torch.contiguous_format if narrow else torch.channels_last


@contextlib.contextmanager
def torch_switches(device: torch.device, threads: int | None = None) -> Iterator[None]:
    """torch's global switches for the time of a job: on the CPU deterministic algorithms, so that the seed (and the
    number of threads) decides every bit; on the GPU cuDNN's search for the fastest kernels. Then as they were."""
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]  # torch's types lack it
        torch.backends.cudnn.benchmark,
    )
    try:
        if threads:
            torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(device.type == "cpu")
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = device.type == "cuda"
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.utils.deterministic.fill_uninitialized_memory = before[2]  # type: ignore[attr-defined]
        torch.backends.cudnn.benchmark = before[3]


def describe(device: torch.device) -> str:
    """The device's name, for records."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads)"
