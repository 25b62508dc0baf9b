"""The images of a split, on the device or from the disk: the same, and read when they should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import torch

from phenoviews.data import Images, pool, write
from phenoviews.errors import UserError

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA"))]
RESIDENT, STREAMED = pool.Resident, pool.Streamed


@pytest.fixture
def make(tmp_path):
    def make(count=40, dtype=np.uint8, channels=3, values=None) -> Images:
        rng = np.random.default_rng(0)
        array = rng.integers(0, np.iinfo(dtype).max, (count, 5, 4, channels), dtype=dtype, endpoint=True)
        if values is not None:
            array[:] = values
        split = np.array(["test", "train", "train", "train"])[np.arange(count) % 4]
        index = pd.DataFrame({"split": split, "label": 0, "class": "a", "source": ""})
        write(tmp_path / "images.npy", tmp_path / "index.parquet", array, index)
        return Images.open(tmp_path)

    return make


@pytest.fixture
def reads(monkeypatch):
    """(thread, number of bytes, offset) of every read."""
    found = []

    def spy(file, buffers, offset, read=os.preadv):
        count = read(file, buffers, offset)
        found.append((threading.current_thread(), count, offset))
        return count

    monkeypatch.setattr(os, "preadv", spy)
    return found


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("room", [pool.HOST, 0])
def test_take_is_indexing(make, monkeypatch, room, dtype, channels, device):
    """Also above 32767, where the signed stand-in of uint16 is negative; and it can be made float."""
    monkeypatch.setattr(pool, "HOST", room)
    monkeypatch.setattr(pool, "GPU", min(room, 0.5))
    images = make(dtype=dtype, channels=channels)
    train = pool.pool(images, "train", device)
    assert isinstance(train, RESIDENT if room else STREAMED)
    assert len(train) == 30
    expected = images.array[images.rows("train")].transpose(0, 3, 1, 2)
    rows = [torch.tensor(some) for some in ([3, 0, 0, 5, 29, 4, 5, 6, 7], [1], list(range(30)))]
    for some, following in zip(rows, [*rows[1:], None], strict=True):
        taken = train.take(some, following)
        assert (taken.device.type, taken.dtype) == (device, {np.uint8: torch.uint8, np.uint16: torch.uint16}[dtype])
        assert taken.is_contiguous()
        np.testing.assert_array_equal(taken.cpu().numpy(), expected[some.numpy()])
    np.testing.assert_array_equal(taken.to(torch.float32).cpu().numpy(), expected.astype(np.float32))
    batches = [batch.cpu().numpy() for batch in train.batches(8)]
    assert [len(batch) for batch in batches] == [8, 8, 8, 6]
    np.testing.assert_array_equal(np.concatenate(batches), expected)


@pytest.mark.parametrize("split", ["train", "all"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_resident_is_a_copy_made_in_pieces(make, monkeypatch, dtype, channels, split):
    monkeypatch.setattr(pool, "CHUNK", 7)
    images = make(dtype=dtype, channels=channels)
    before, rows = images.array.copy(), images.rows(split)
    found = RESIDENT.load(images, split, "cpu").images
    assert found.is_contiguous()
    assert found.dtype == {np.uint8: torch.uint8, np.uint16: torch.uint16}[dtype]
    np.testing.assert_array_equal(found.numpy(), before[rows].transpose(0, 3, 1, 2))
    found.zero_()
    np.testing.assert_array_equal(np.load(images.folder / "images.npy"), before)


def test_where_the_line_is(make, monkeypatch):
    images = make()
    needed = 30 * 5 * 4 * 3
    for room, kind in ((needed, RESIDENT), (needed - 1, STREAMED)):
        monkeypatch.setattr(pool, "HOST", room)
        assert isinstance(pool.pool(images, "train", "cpu"), kind)
    monkeypatch.setattr(pool, "HOST", needed)
    assert isinstance(pool.pool(images, "all", "cpu"), STREAMED)


def test_what_follows_is_read_meanwhile(make, reads):
    train = STREAMED(make(), "train", "cpu")
    first, second, third = torch.arange(30).split(10)
    train.take(first, second)
    for future in train.ahead.futures:
        future.result()
    before = len(reads)
    assert sum(count for _, count, _ in reads) == 20 * 60
    assert threading.main_thread() not in {thread for thread, *_ in reads}
    train.take(second)
    assert len(reads) == before
    # Whoever asks for other rows than announced gets what he asks for.
    train.take(first, second)
    assert torch.equal(train.take(third), RESIDENT(train_tensor(train)).take(third))


def train_tensor(train):
    return torch.cat(list(train.batches(7)))


def test_images_that_follow_each_other_are_read_in_one_go(make, reads, monkeypatch):
    monkeypatch.setattr(pool, "READERS", 1)
    STREAMED(make(), "all", "cpu").take(torch.tensor([4, 5, 6, 2, 3, 9]))
    assert [count // 60 for _, count, _ in reads] == [3, 2, 1]


def test_a_read_may_give_less_than_was_asked_for(make, monkeypatch):
    images = make()
    monkeypatch.setattr(os, "preadv", lambda file, buffers, at, read=os.preadv: read(file, [buffers[0][:7]], at))
    found = RESIDENT.load(images, "all", "cpu").images
    np.testing.assert_array_equal(found.numpy(), images.array.transpose(0, 3, 1, 2))


def test_what_the_readers_meet_is_told_where_it_is_asked_for(make, monkeypatch):
    images = make()
    train = STREAMED(images, "all", "cpu")
    os.truncate(images.folder / "images.npy", images.array.offset + 30 * 60 + 1)
    train.take(torch.arange(5), torch.arange(28, 33))
    with pytest.raises(UserError, match=r"images\.npy: has become shorter; delete it"):
        train.take(torch.arange(28, 33))

    def broken(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(UserError, match=r"images\.npy: cannot be read \(.*Input/output error\)"):
        train.take(torch.arange(5))


@pytest.fixture
def python(root):
    """Runs a script in a process of its own → what it prints."""

    def python(script, *arguments, **environment):
        environment = {**os.environ, "PYTHONPATH": str(root / "workflow/scripts"), **environment}
        command = [sys.executable, "-c", script, *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    return python


def test_streaming_leaves_no_pages_resident(python, tmp_path):
    """40 MB of random reads; a memory map would show them all."""
    script = """
import sys, re, numpy as np, pandas as pd, torch
from pathlib import Path
from phenoviews.data import Images, write
from phenoviews.data.pool import Streamed
folder = Path(sys.argv[1])
pixels = np.random.default_rng(0).integers(256, size=(4000, 58, 58, 3), dtype=np.uint8)
index = pd.DataFrame({"split": "train", "label": 0, "class": "a", "source": ""}, index=range(4000))
write(folder / "images.npy", folder / "index.parquet", pixels, index)
del pixels
train = Streamed(Images.open(folder), "train", "cpu")
resident = lambda: int(re.search(r"RssFile:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
parts = torch.randperm(4000).split(100)
train.take(parts[0])
before = resident()
for batch in train.in_turn(parts):
    pass
print(resident() - before)
"""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("no /proc here")
    assert float(python(script, tmp_path)) < 4


# ---------------------------------------------------------------------------------------------------- mean and std
OWN = {"name": "mine", "size": 32, "mean": "own", "std": "own", "evaluated": "test"}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_own_mean_and_std_are_those_of_the_training_images(make, dtype, channels):
    images = make(dtype=dtype, channels=channels)
    found = pool.with_statistics(images, OWN)
    values = images.array[images.rows("train")].astype(np.float64) / np.iinfo(dtype).max
    # A view has three channels always: of grey images three times the one.
    np.testing.assert_allclose(found["mean"], np.broadcast_to(values.mean((0, 1, 2)), 3), rtol=1e-12)
    np.testing.assert_allclose(found["std"], np.broadcast_to(values.std((0, 1, 2)), 3), rtol=1e-12)
    assert {**found, "mean": "own", "std": "own"} == OWN
    given = {**OWN, "mean": [0.5] * 3, "std": [0.25] * 3}
    assert pool.with_statistics(images, given) == given


def test_of_many_images_a_sample_tells_and_always_the_same(make, monkeypatch, reads, python):
    monkeypatch.setattr(pool, "SAMPLE", 20)
    images = make(400)
    found = pool.with_statistics(images, OWN)
    assert sum(count for _, count, _ in reads) == 20 * 60
    values = images.array[images.rows("train")] / 255
    error = values.mean((1, 2)).std() / np.sqrt(20)
    assert np.abs(np.array(found["mean"]) - values.mean((0, 1, 2))).max() < 4 * error
    script = """
import json, sys
from phenoviews.data import Images, pool
pool.SAMPLE = 20
print(json.dumps(pool.with_statistics(Images.open(sys.argv[1]), json.loads(sys.argv[2]))))
"""
    for seed in "12":
        assert json.loads(python(script, images.folder, json.dumps(OWN), PYTHONHASHSEED=seed)) == found


def test_a_channel_that_is_the_same_everywhere_has_no_std(make):
    images = make(values=np.array([0, 7, 9], np.uint8))
    with pytest.raises(UserError, match="channel 1 has the same value everywhere"):
        pool.with_statistics(images, OWN)


def test_the_numbers_do_not_depend_on_the_test_images(make):
    images = make()
    found = pool.with_statistics(images, OWN)
    changed = np.where((images.index["split"] == "test").to_numpy()[:, None, None, None], 0, images.array)
    write(images.folder / "images.npy", images.folder / "index.parquet", changed, images.index)
    assert pool.with_statistics(Images.open(images.folder), OWN) == found
