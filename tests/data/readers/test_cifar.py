"""The official archives' format, made from real images; archives that mean harm."""

from __future__ import annotations

import io
import itertools
import json
import os
import pickle
import struct
import tarfile

import numpy as np
import pytest
from PIL import Image

from phenoviews.data import Images
from phenoviews.data.readers import prepare
from phenoviews.errors import UserError


class Python2Pickler(pickle._Pickler):
    """Protocol 2 as Python 2 wrote it: bytes are its `str`, not Python 3's detour over `_codecs.encode`."""

    dispatch = pickle._Pickler.dispatch.copy()

    def save_bytes(self, data: bytes) -> None:
        if len(data) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(data)]) + data)
        else:
            self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(data)

    dispatch[bytes] = save_bytes


def python2(value: object) -> bytes:
    stream = io.BytesIO()
    Python2Pickler(stream, 2).dump(value)
    return stream.getvalue().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def python3(value: object) -> bytes:
    return pickle.dumps(value, 2)


def pack(path, members: dict[str, bytes], **special: tarfile.TarInfo):
    with tarfile.open(path, "w:gz") as tar:
        folder = tarfile.TarInfo("cifar-10-batches-py")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        for info in special.values():
            tar.addfile(info)
    return path


def rows(images: np.ndarray) -> np.ndarray:
    """(n, 32, 32, 3) → (n, 3072), red first: the archives' layout."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2).reshape(len(images), 3072))


CLASSES10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def cifar10_members(images, labels, dump=python2) -> dict[str, bytes]:
    """Five batches and the test batch, consecutive sixths of the images."""
    names = [f"cifar-10-batches-py/data_batch_{n}" for n in range(1, 6)] + ["cifar-10-batches-py/test_batch"]
    members = {}
    for name, part in zip(names, np.array_split(np.arange(len(images)), 6), strict=True):
        members[name] = dump(
            {
                b"batch_label": b"a batch",
                b"labels": [int(labels[n]) for n in part],
                b"data": rows(images[part]),
                b"filenames": [b"picture_%06d.png" % n for n in part],
            }
        )
    meta = {b"num_cases_per_batch": 10000, b"label_names": [name.encode() for name in CLASSES10], b"num_vis": 3072}
    members["cifar-10-batches-py/batches.meta"] = dump(meta)
    members["cifar-10-batches-py/readme.html"] = b"<html>"
    return members


@pytest.fixture(scope="module")
def cifar10(shared_data):
    """360 real images, 36 a class, shuffled."""
    images, labels = [], []
    with tarfile.open(shared_data / "cifar10" / "cifar10-jpeg.tar.xz") as tar:
        for member in tar:
            split, *rest = member.name.split("/")
            if split == "test" and member.isreg() and int(rest[1].removesuffix(".jpg")) < 36:
                labels.append(CLASSES10.index(rest[0]))
                images.append(np.asarray(Image.open(tar.extractfile(member))))
            if split == "train" or len(images) == 360:
                break
    order = np.random.default_rng(0).permutation(360)
    return np.stack(images)[order], np.array(labels)[order]


def run(archive, tmp_path) -> Images:
    out = tmp_path / "out"
    prepare({"kind": "cifar"}, {"archive": archive}, out / "images.npy", out / "index.parquet")
    return Images.open(out)


@pytest.mark.parametrize("dump", [python2, python3])
def test_cifar10(cifar10, tmp_path, dump):
    pixels, labels = cifar10
    images = run(pack(tmp_path / "cifar-10-python.tar.gz", cifar10_members(pixels, labels, dump)), tmp_path)
    np.testing.assert_array_equal(images.array, pixels)
    np.testing.assert_array_equal(images.index["label"], labels)
    assert images.classes == CLASSES10
    assert images.superclasses is None
    assert (images.index["class"] == [CLASSES10[label] for label in labels]).all()
    assert (images.rows("train") == np.arange(300)).all()
    assert (images.rows("test") == np.arange(300, 360)).all()
    assert images.index["source"].iloc[300] == "cifar-10-batches-py/test_batch/picture_000300.png"


def test_agrees_with_torchvision(cifar10, tmp_path, monkeypatch):
    """Torchvision, which executes the pickles, sees the same images and labels."""
    from torchvision.datasets import CIFAR10

    archive = pack(tmp_path / "cifar-10-python.tar.gz", cifar10_members(*cifar10))
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    theirs, ours = CIFAR10(tmp_path, train=False), run(archive, tmp_path)
    np.testing.assert_array_equal(theirs.data, ours.array[ours.rows("test")])
    assert theirs.targets == ours.labels("test").tolist()
    assert theirs.classes == ours.classes


def test_cifar100(shared_data, tmp_path):
    names = json.loads((shared_data / "cifar100" / "labels.json").read_text())
    fine, coarse = names["fine"], names["coarse"]
    pixels, labels = [], []
    with tarfile.open(shared_data / "cifar100" / "cifar100-png-test.tar.gz") as tar:
        for number, member in enumerate(m for m in tar if m.isreg()):
            if number % 100 < 3:
                labels.append(fine.index(member.name.split("/")[-2]))
                pixels.append(np.asarray(Image.open(tar.extractfile(member))))
    pixels, labels = np.stack(pixels), np.array(labels)
    order = np.random.default_rng(0).permutation(len(labels))
    pixels, labels = pixels[order], labels[order]
    superclass = np.array(names["fine_to_coarse"])[labels]
    members = {}
    for split, part in {"train": slice(0, 200), "test": slice(200, 300)}.items():
        count = len(labels[part])
        members[f"cifar-100-python/{split}"] = python2(
            {
                b"filenames": [b"a_%d.png" % n for n in range(count)],
                b"batch_label": b"one batch",
                b"fine_labels": labels[part].tolist(),
                b"coarse_labels": superclass[part].tolist(),
                b"data": rows(pixels[part]),
            }
        )
    members["cifar-100-python/meta"] = python2(
        {b"fine_label_names": [n.encode() for n in fine], b"coarse_label_names": [n.encode() for n in coarse]}
    )
    images = run(pack(tmp_path / "cifar-100-python.tar.gz", members), tmp_path)
    np.testing.assert_array_equal(images.array, pixels)
    assert images.classes == fine
    np.testing.assert_array_equal(images.index["label"], labels)
    assert (images.index["superclass"] == [coarse[n] for n in superclass]).all()
    assert images.superclasses == [coarse[n] for n in names["fine_to_coarse"]]
    assert len(images.rows("train")) == 200


# --- archives that mean harm or are broken ---


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.fixture
def members() -> dict[str, bytes]:
    return cifar10_members(np.zeros((60, 32, 32, 3), np.uint8), np.tile(np.arange(10), 6))


HARM = {
    "os.system": lambda mark: Call(os.system, f"touch {mark}"),
    "eval": lambda mark: Call(eval, f"open({str(mark)!r}, 'w')"),
    "getattr": lambda mark: Call(getattr, Call(__import__, "os"), "system"),
    "numpy.load": lambda mark: Call(np.load, str(mark)),
    "io.open": lambda mark: Call(open, str(mark), "w"),
    "numpy.fromfile": lambda mark: Call(np.fromfile, str(mark)),
}


@pytest.mark.parametrize("member", ["cifar-10-batches-py/batches.meta", "cifar-10-batches-py/data_batch_3"])
@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_pickle_is_refused_and_not_executed(tmp_path, members, member, harm, protocol):
    mark = tmp_path / "executed"
    members[member] = pickle.dumps({b"labels": [0], b"data": harm(mark)}, protocol)
    archive = pack(tmp_path / "cifar-10-python.tar.gz", members)
    with pytest.raises(
        UserError, match=rf"cifar-10-python.tar.gz: member {member}: refused, its pickle asks for \w+\."
    ):
        run(archive, tmp_path)
    assert not mark.exists()
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    # The same pickle, loaded naively, does what it says: the test would see it.
    if harm is HARM["os.system"]:
        pickle.loads(members[member])  # noqa: S301
        assert mark.exists()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not a batch"),
        (b"not a pickle", "is not a batch"),
        (b"\x80\x02}.", "is not a batch"),  # an empty dictionary
        (b"\x80\x02]\x94.", "is not a batch"),  # a list
        (b"\x80\x02c__main__\nx\n.", "refused"),
        (b"\x80\x02Q.", "is not a batch"),  # a persistent id
        (b"\x80\x02\x82\x01.", "is not a batch"),  # the extension registry
        (python2({b"labels": [0], b"data": np.zeros((1, 3072), np.float32), b"filenames": [b"a"]}), "unsigned bytes"),
        (python2({b"labels": [0], b"data": np.array([os], object)[:0], b"filenames": [b"a"]}), "unsigned bytes"),
        (python2({b"labels": [0], b"data": np.zeros((1, 3071), np.uint8), b"filenames": [b"a"]}), "is not a batch"),
        (python2({b"labels": [10], b"data": np.zeros((1, 3072), np.uint8), b"filenames": [b"a"]}), "is not a batch"),
        (python2({b"labels": [-1], b"data": np.zeros((1, 3072), np.uint8), b"filenames": [b"a"]}), "a label of -1"),
        (python2({b"labels": [0, 1], b"data": np.zeros((1, 3072), np.uint8), b"filenames": [b"a"]}), "is not a batch"),
        (python2({b"labels": [0], b"data": [1, 2], b"filenames": [b"a"]}), "is not a batch"),
    ],
    ids=itertools.count(),
)
def test_broken_batch_is_one_line_with_its_name(tmp_path, members, data, reason):
    members["cifar-10-batches-py/data_batch_2"] = data
    archive = pack(tmp_path / "c.tar.gz", members)
    with pytest.raises(UserError, match=rf"c\.tar\.gz: member cifar-10-batches-py/data_batch_2\b.*{reason}"):
        run(archive, tmp_path)


def test_missing_member(tmp_path, members):
    del members["cifar-10-batches-py/data_batch_4"]
    with pytest.raises(UserError, match="member cifar-10-batches-py/data_batch_4 is missing"):
        run(pack(tmp_path / "c.tar.gz", members), tmp_path)


def test_archive_of_something_else(tmp_path):
    with pytest.raises(UserError, match="give the official Python archive"):
        run(pack(tmp_path / "c.tar.gz", {"readme": b"hello"}), tmp_path)


def test_members_choose_no_paths(tmp_path, members):
    """Paths upwards, absolute paths and links are read past; nothing is written outside the outputs."""
    link = tarfile.TarInfo("cifar-10-batches-py/data_batch_9")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members["../escaped"] = members[str(tmp_path / "absolute")] = b"x"
    run(pack(tmp_path / "c.tar.gz", members, link=link), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tar.gz", "out"]
    assert not (tmp_path.parent / "escaped").exists()


def test_link_in_place_of_a_batch(tmp_path, members):
    del members["cifar-10-batches-py/test_batch"]
    link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
    link.type, link.linkname = tarfile.LNKTYPE, "cifar-10-batches-py/data_batch_1"
    with pytest.raises(UserError, match="test_batch is missing"):
        run(pack(tmp_path / "c.tar.gz", members, link=link), tmp_path)


@pytest.mark.parametrize("keep", [0, 10, 200, -20])
def test_truncated_archive(tmp_path, members, keep):
    archive = pack(tmp_path / "c.tar.gz", members)
    archive.write_bytes(archive.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"c\.tar\.gz: "):
        run(archive, tmp_path)


def test_oversized_member(tmp_path, members, monkeypatch):
    monkeypatch.setattr("phenoviews.data.readers.cifar.LARGEST_MEMBER", 1000)
    with pytest.raises(UserError, match="not a CIFAR archive"):
        run(pack(tmp_path / "c.tar.gz", members), tmp_path)
