from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch
from torch import nn

from phenoviews.errors import UserError
from phenoviews.training import devices


@pytest.fixture(autouse=True)
def _fresh_claim() -> Iterator[None]:
    devices.claim.cache_clear()
    yield
    devices.claim.cache_clear()


def hold(folder: Path, count: int, line: Connection) -> None:
    """What a job does: claims a GPU, says which, and keeps it until told to end."""
    lock, index = devices.acquire([str(i) for i in range(count)], folder, poll=0.05)
    line.send(index)
    line.recv()
    lock.close()


def test_jobs_get_a_gpu_each_and_wait_when_all_are_taken(tmp_path: Path):
    context = multiprocessing.get_context("fork")  # the children do nothing but open files
    jobs, lines = [], []
    for _ in range(3):
        here, there = context.Pipe()
        jobs.append(context.Process(target=hold, args=(tmp_path / "locks", 2, there)))
        lines.append(here)
        jobs[-1].start()
    try:
        while sum(line.poll() for line in lines) < 2:
            time.sleep(0.02)
        time.sleep(0.3)
        ready = [i for i, line in enumerate(lines) if line.poll()]
        assert len(ready) == 2
        assert {lines[i].recv() for i in ready} == {0, 1}
        (waiting,) = {0, 1, 2} - set(ready)
        jobs[ready[0]].kill()  # a job that is killed gives its GPU back
        assert lines[waiting].poll(None)
        assert lines[waiting].recv() in (0, 1)
    finally:
        for job in jobs:
            job.kill()
            job.join()


def test_says_that_it_waits(tmp_path: Path, capsys: pytest.CaptureFixture):
    lock, index = devices.acquire(["0"], tmp_path)
    assert index == 0

    def give_back(seconds: float) -> None:
        lock.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices.time, "sleep", give_back)
        assert devices.acquire(["0"], tmp_path)[1] == 0
    assert capsys.readouterr().err == "phenoviews: all of 1 GPUs are taken; waiting for one\n"


def test_without_cuda_it_is_the_cpu(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.claim() == torch.device("cpu")
    assert capsys.readouterr().err == ""


def test_an_assigned_gpu_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert devices.claim() == torch.device("cpu")
    assert "CUDA_VISIBLE_DEVICES=1, but there is no CUDA here" in capsys.readouterr().err


def test_an_assigned_gpu_is_taken_without_a_lock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(devices, "acquire", lambda *_: pytest.fail("locked"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert devices.claim() == torch.device("cuda", 0)


def test_of_several_visible_gpus_each_is_locked_under_its_own_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(devices, "_held", [])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    other, _ = devices.acquire(["2"], tmp_path / f"phenoviews-{devices.os.getuid()}")
    assert devices.claim() == torch.device("cuda", 1)
    other.close()


def test_one_of_several_gpus_is_claimed_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    monkeypatch.setattr(devices.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(devices, "_held", [])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices.claim() == devices.claim() == torch.device("cuda", 0)
    assert len(devices._held) == 1


def test_precision(monkeypatch: pytest.MonkeyPatch):
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert devices.autocast_dtype("fp32", cpu) is None
    assert devices.autocast_dtype("bf16", cpu) == torch.bfloat16
    assert devices.autocast_dtype("fp16", gpu) == torch.float16
    with pytest.raises(UserError, match="precision: fp16 needs a GPU"):
        devices.autocast_dtype("fp16", cpu)
    with pytest.raises(UserError, match="'half' is none of auto, bf16, fp16, fp32"):
        devices.autocast_dtype("half", cpu)
    for capability, dtype in (((8, 0), torch.bfloat16), ((7, 5), None)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, c=capability: c)
        assert devices.autocast_dtype("auto", gpu) == dtype


def test_auto_on_a_cpu_is_bfloat16_where_it_is_faster_in_it_and_allowed_to(root: Path):
    """In processes of their own: oneDNN reads its variable once."""
    flags = set(Path("/proc/cpuinfo").read_text().split())
    by_vectors, by_tiles = {"avx512_bf16", "AuthenticAMD"} <= flags, "amx_bf16" in flags
    expected = {
        "": by_vectors or by_tiles,
        "AVX2": False,
        "AVX512_CORE": False,
        "avx512_core_vnni": False,  # oneDNN reads both cases
        "AVX512_CORE_BF16": by_vectors,
        "AVX512_CORE_AMX": by_vectors or by_tiles,
    }
    code = "import torch; from phenoviews.training.devices import *; print(autocast_dtype('auto', torch.device('cpu')))"
    started = {}
    for limit in expected:
        environment = {key: value for key, value in os.environ.items() if not key.endswith("_MAX_CPU_ISA")}
        environment |= {"PYTHONPATH": str(root / "workflow/scripts")} | ({"ONEDNN_MAX_CPU_ISA": limit} if limit else {})
        started[limit] = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True
        )
    found = {limit: process.communicate()[0].strip() for limit, process in started.items()}
    assert found == {limit: "torch.bfloat16" if yes else "None" for limit, yes in expected.items()}


@pytest.mark.parametrize(
    ("amd", "vectors", "tiles", "machine", "limit", "faster"),
    [
        (False, True, True, "x86_64", "", True),
        (False, True, True, "x86_64", "AVX512_CORE_BF16", False),  # Intel's AVX512-BF16 without AMX is slower in it
        (False, True, False, "x86_64", "", False),
        (True, True, False, "x86_64", "", True),
        (True, True, False, "x86_64", "avx512_core", False),
        (True, False, False, "x86_64", "", False),
        (False, False, False, "aarch64", "", True),
    ],
)
def test_which_cpus_are_faster_in_bfloat16(
    monkeypatch: pytest.MonkeyPatch, amd: bool, vectors: bool, tiles: bool, machine: str, limit: str, faster: bool
):
    """Each as oneDNN would describe it, which then says that it can multiply in bfloat16."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: vectors)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: tiles)
    monkeypatch.setattr(devices, "_made_by_amd", lambda: amd)
    monkeypatch.setattr(devices.platform, "machine", lambda: machine)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    assert devices.autocast_dtype("auto", torch.device("cpu")) == (torch.bfloat16 if faster else None)


@pytest.mark.parametrize(
    ("layer", "dangerous"),
    [
        (nn.Conv2d(8, 16, 1, stride=2), True),
        (nn.Conv2d(15, 16, 1, stride=(1, 2)), True),
        (nn.Conv2d(16, 16, 1, stride=2), False),
        (nn.Conv2d(8, 16, 1), False),
        (nn.Conv2d(8, 16, 3, stride=2), False),
        (nn.Linear(8, 16), False),
    ],
)
def test_layout(layer: nn.Module, dangerous: bool):
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(layer))
    expected = torch.contiguous_format if dangerous else torch.channels_last
    assert devices.memory_format(network, torch.device("cpu")) == expected
    assert devices.memory_format(network, torch.device("cuda", 0)) == torch.channels_last


def test_global_switches_are_put_back():
    def state() -> tuple:
        return (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)

    before = state()
    job = devices.torch_switches(torch.device("cpu"), threads=2)
    job.__enter__()
    assert state()[:2] == (2, True)
    assert not job.__exit__(ValueError, ValueError("the job fails"), None)
    assert state() == before
