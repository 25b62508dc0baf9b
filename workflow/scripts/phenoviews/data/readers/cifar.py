"""CIFAR-10 and CIFAR-100 from the official Python archives, read in memory and without executing pickled code."""

from __future__ import annotations

import io
import pickle
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import pandas as pd

from phenoviews.data.images import write
from phenoviews.errors import UserError


class _Layout(TypedDict):
    batches: list[tuple[str, str]]  # member and split
    classes: dict[str, tuple[str, str]]  # column: the key of its labels in a batch, of their names in the meta


# What each archive has, by the member with its class names.
LAYOUTS: dict[str, _Layout] = {
    "cifar-10-batches-py/batches.meta": {
        "batches": [(f"cifar-10-batches-py/data_batch_{number}", "train") for number in range(1, 6)]
        + [("cifar-10-batches-py/test_batch", "test")],
        "classes": {"class": ("labels", "label_names")},
    },
    "cifar-100-python/meta": {
        "batches": [("cifar-100-python/train", "train"), ("cifar-100-python/test", "test")],
        "classes": {
            "class": ("fine_labels", "fine_label_names"),
            "superclass": ("coarse_labels", "coarse_label_names"),
        },
    },
}
NAMED = {*LAYOUTS, *(name for layout in LAYOUTS.values() for name, _ in layout["batches"])}
LARGEST_MEMBER = 512 << 20  # bytes; the largest official one, CIFAR-100's `train`, has 155 MB


class _Array:
    """Stands in for numpy.ndarray while unpickling: only keeps the state, which `array` checks afterwards."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        _, shape, dtype, fortran, data = self.state
        if not isinstance(dtype, _Dtype) or dtype.code not in ("u1", b"u1") or fortran:
            raise ValueError("an array that is not of unsigned bytes in C order")
        return np.frombuffer(data, np.uint8).reshape(shape)


class _Dtype:
    """Stands in for numpy.dtype while unpickling."""

    def __init__(self, code: Any = None, *_: Any) -> None:
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Byte order and alignment mean nothing for bytes."""


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in protocol 2."""
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding}")
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Builds plain containers and the stand-ins above. No name of a pickle reaches code outside this module."""

    NAMES = {  # noqa: RUF012
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Dtype,
        ("_codecs", "encode"): _encode,
    }

    def __init__(self, data: bytes, where: str) -> None:
        super().__init__(io.BytesIO(data), encoding="bytes")  # Python 2's str are bytes
        self.where = where

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.NAMES:
            raise UserError(
                f"{self.where}: refused, its pickle asks for {module}.{name}, which no CIFAR batch needs; "
                "nothing was executed; download the archive again from a source that you trust"
            )
        return self.NAMES[module, name]


def read_members(archive: Path) -> dict[str, bytes]:
    """The members of a .tar.gz that LAYOUTS names, in memory: nothing is extracted, so no member chooses a path."""
    members = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.name not in NAMED or not member.isreg() or (stream := tar.extractfile(member)) is None:
                    continue
                if member.size > LARGEST_MEMBER:
                    raise UserError(f"{archive}: member {member.name} has {member.size} bytes; not a CIFAR archive")
                members[member.name] = stream.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"{archive}: cannot be read ({error}); delete it and download it again") from error
    return members


def _load(archive: Path, members: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """The dictionary of one member with its keys as str, or `UserError` naming archive and member."""
    where = f"{archive}: member {name}"
    if name not in members:
        raise UserError(f"{where} is missing; delete the archive and download it again")
    try:
        content = _Unpickler(members[name], where).load()
        return {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
    except UserError:
        raise
    except Exception as error:  # a broken pickle raises nearly anything
        raise UserError(
            f"{where} is not a batch ({type(error).__name__}: {error}); download the archive again"
        ) from error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """`downloads`: archive, CIFAR-10 or CIFAR-100 as its members tell.

    CIFAR-100's label is the fine one; the coarse one is its superclass.
    """
    archive = downloads["archive"]
    members = read_members(archive)
    meta = next((name for name in LAYOUTS if name in members), None)
    if meta is None:
        raise UserError(f"{archive}: has neither {' nor '.join(LAYOUTS)}; give the official Python archive")
    names = _load(archive, members, meta)
    pixels, tables = [], []
    for member, split in LAYOUTS[meta]["batches"]:
        batch = _load(archive, members, member)
        try:
            data = batch["data"].array()
            count = len(data)
            pixels.append(data.reshape(count, 3, 32, 32).transpose(0, 2, 3, 1))
            files = [_text(name) for name in batch["filenames"]]
            table = pd.DataFrame({"split": split, "source": [f"{member}/{name}" for name in files]}, index=range(count))
            for column, (labels, classes) in LAYOUTS[meta]["classes"].items():
                values = [int(label) for label in batch[labels]]
                if min(values) < 0:
                    raise ValueError(f"a label of {min(values)}")
                table[column] = [_text(names[classes][value]) for value in values]
                if column == "class":
                    table["label"] = values
        except Exception as error:  # what a forged batch holds can be anything
            raise UserError(
                f"{archive}: member {member} is not a batch ({type(error).__name__}: {error}); "
                "download the archive again"
            ) from error
        tables.append(table)
    write(images, index, np.concatenate(pixels), pd.concat(tables, ignore_index=True))
