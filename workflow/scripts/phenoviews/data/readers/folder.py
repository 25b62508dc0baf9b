"""What a user brings: a tree of image files in the layout of torchvision's ImageFolder, or one .npz file."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from phenoviews.data import pixels
from phenoviews.data.images import SPLITS, write, write_chunks
from phenoviews.data.split import stratified
from phenoviews.errors import UserError

THREADS = min(8, os.cpu_count() or 1)
BATCH = 256  # images decoded at a time: bounds the memory

Kind = tuple[tuple[int, ...], np.dtype]  # shape and type of an image


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """`path` of the entry is a folder or an .npz file.

    A folder holds `class/…/image` or, with its own splits, `train/class/…/image`, `test/…` and maybe `val/…`. An .npz
    holds `images` (n, H, W[, C]) uint8 or uint16, `labels` (n,) integers or strings, maybe `split` (n,) of "train",
    "val", "test", and maybe arrays `Metadata_*` (n,). Without splits of its own the data is split by `test_fraction`
    (0.2), `val_fraction` (0) and `split_seed` (0), stratified. All images have one size, depth and number of channels.
    `superclasses`, {superclass: [class, …]}, has every class once, if the entry has it at all.
    """
    path = Path(dataset["path"]).expanduser()
    if path.is_dir():
        _prepare_tree(path, dataset, images, index)
    elif path.suffix == ".npz" and path.is_file():
        _prepare_npz(path, dataset, images, index)
    else:
        raise UserError(f"{path}: neither a folder nor an .npz file; check the key `path` of the data set")


def _table(
    path: Path,
    classes: list[str],
    names: list[str],
    sources: list[str],
    split: np.ndarray | None,
    dataset: Mapping[str, Any],
) -> pd.DataFrame:
    """The index of images whose classes are `names`; the labels follow the order of `classes`."""
    if len(classes) < 2:
        raise UserError(f"{path}: has only the class {classes[0]!r}; at least two are needed")
    groups = dataset.get("superclasses")
    label_of = {name: label for label, name in enumerate(classes)}
    labels = np.array([label_of[name] for name in names], dtype=np.int64)
    if split is None:
        fractions = dataset.get("test_fraction", 0.2), dataset.get("val_fraction", 0.0)
        try:
            split = stratified(labels, classes, *fractions, dataset.get("split_seed", 0))
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    table = pd.DataFrame({"split": split, "label": labels, "class": names, "source": sources})
    return table.assign(superclass=_superclasses(path, classes, names, groups)) if groups else table


def _superclasses(path: Path, classes: list[str], names: list[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """The superclass of each of `names`; UserError unless `groups` have every class, and each of them once."""
    grouped = Counter(name for members in groups.values() for name in members)
    problems = {
        "lacks the class": set(classes) - set(grouped),
        "has more than once the class": {name for name, count in grouped.items() if count > 1},
        "has a class that the data lack,": set(grouped) - set(classes),
    }
    for problem, found in problems.items():
        if found:
            raise UserError(
                f"{path}: the key `superclasses` of the data set {problem} {min(found)!r}; correct it there"
            )
    superclass_of = {name: superclass for superclass, members in groups.items() for name in members}
    return [superclass_of[name] for name in names]


# --- a tree of files ---


def _prepare_tree(path: Path, dataset: Mapping[str, Any], images: Path, index: Path) -> None:
    files, names, splits = _listing(path)
    sources = [file.relative_to(path).as_posix() for file in files]
    table = _table(path, sorted(set(names)), names, sources, splits, dataset)
    first = pixels.read(files[0])
    write_chunks(images, index, _uniform(path, files), (len(files), *first.shape), first.dtype, table)


def _listing(path: Path) -> tuple[list[Path], list[str], np.ndarray | None]:
    """Image files in sorted order, the class of each, and the split of each if the folder has splits of its own."""
    top = _folders(path)
    names = {folder.name for folder in top}
    if not ({"train", "test"} <= names or (names and names <= set(SPLITS))):
        files, classes = _classes(path, top)
        return files, classes, None
    if names != {"train", "test"} and names != set(SPLITS):
        raise UserError(
            f"{path}: holds {', '.join(sorted(names))}; with splits of its own it needs train and test, "
            "may have val, and nothing else: add, rename or remove folders"
        )
    files, classes, splits, trained = [], [], [], None
    for split in [split for split in SPLITS if split in names]:
        found, labels = _classes(path / split, _folders(path / split))
        trained = trained or set(labels)
        if unknown := set(labels) - trained:
            raise UserError(f"{path / split}: has the class {min(unknown)!r}, which train lacks")
        files += found
        classes += labels
        splits += [split] * len(found)
    return files, classes, np.array(splits, dtype=object)


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))


def _classes(path: Path, folders: list[Path]) -> tuple[list[Path], list[str]]:
    if not folders:
        raise UserError(f"{path}: has no images in folders named by class, such as {path.name}/treated/1.png")
    files, names = [], []
    for folder in folders:
        found = []
        for parent, below, inside in os.walk(folder, followlinks=True):
            below[:] = [name for name in below if not name.startswith(".")]
            found += [
                Path(parent, name)
                for name in inside
                if name.lower().endswith(pixels.SUFFIXES) and not name.startswith(".")
            ]
        if not found:
            raise UserError(f"{folder}: has no images ({', '.join(pixels.SUFFIXES)}); add some or remove the folder")
        files += sorted(found)
        names += [folder.name] * len(found)
    return files, names


def _uniform(path: Path, files: list[Path]) -> Iterator[np.ndarray]:
    """The images in order, a stack at a time, so that a folder need not fit in memory.

    Images of a second kind are only counted: the error at the end tells how many there are of the two most
    frequent kinds and names one of each.
    """
    kinds: Counter[Kind] = Counter()
    example: dict[Kind, Path] = {}
    with (
        tqdm(total=len(files), desc=f"read {path.name}", unit="image", mininterval=1) as bar,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        for start in range(0, len(files), BATCH):
            batch = list(pool.map(pixels.read, files[start : start + BATCH]))
            for file, image in zip(files[start:], batch, strict=False):
                kind = (image.shape, image.dtype)
                kinds[kind] += 1
                example.setdefault(kind, file)
            bar.update(len(batch))
            if len(kinds) == 1:
                yield np.stack(batch)
    if len(kinds) > 1:
        described = " and ".join(
            f"{count} of {shape[0]}x{shape[1]} pixels, {'grey' if shape[2] == 1 else 'RGB'}, {8 * dtype.itemsize} bits "
            f"(as {example[shape, dtype].relative_to(path)})"
            for (shape, dtype), count in kinds.most_common(2)
        )
        raise UserError(
            f"{path}: its images are of {len(kinds)} kinds, {described}; bring them to one size, depth and colour"
        )


# --- one .npz file ---


def _prepare_npz(path: Path, dataset: Mapping[str, Any], images: Path, index: Path) -> None:
    arrays = _arrays(path)
    array, labels, split = arrays["images"], arrays["labels"], arrays.get("split")
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if (
        array.ndim != 4
        or array.dtype.name not in ("uint8", "uint16")
        or array.shape[3] not in (1, 3)
        or 0 in array.shape
    ):
        raise UserError(
            f"{path}: `images` is {arrays['images'].shape} {array.dtype}; it must be (n, H, W), (n, H, W, 1) "
            "or (n, H, W, 3) of uint8 or uint16"
        )
    for name, values in arrays.items():
        if name != "images" and values.shape != (len(array),):
            raise UserError(f"{path}: `{name}` is {values.shape}; it must be ({len(array)},), one for each image")
    if labels.dtype.kind not in "iuUS":
        raise UserError(f"{path}: `labels` is {labels.dtype}; it must be integers or strings")
    if split is not None:
        split = np.array(_strings(split), dtype=object)
        if set(split) - set(SPLITS) or not {"train", "test"} <= set(split):
            raise UserError(
                f"{path}: `split` holds {', '.join(map(repr, sorted(set(split))))}; it must have train and test, "
                "may have val, and nothing else"
            )
    sources = [f"{path.name}[{row}]" for row in range(len(array))]
    classes = _strings(np.unique(labels))  # numbers in numeric order: 2 before 10
    table = _table(path, classes, _strings(labels), sources, split, dataset)
    for name, values in arrays.items():
        if name.startswith("Metadata_"):
            table[name] = _strings(values) if values.dtype.kind in "US" else values
    write(images, index, array, table)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of the file that we know; no pickled object is ever loaded."""
    name = None
    try:
        with np.load(path, allow_pickle=False) as file:
            if missing := [name for name in ("images", "labels") if name not in file.files]:
                raise UserError(
                    f"{path}: lacks the array `{missing[0]}`; it holds {', '.join(file.files) or 'nothing'}"
                )
            arrays = {}
            for name in file.files:
                if name in ("images", "labels", "split") or name.startswith("Metadata_"):
                    arrays[name] = file[name]
            return arrays
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        where = f"`{name}`" if name else "it"
        remedy = "save the array as numbers or strings, not as objects" if "Object" in str(error) else "save it again"
        raise UserError(f"{path}: {where} cannot be read ({error}); {remedy}") from error


def _strings(values: np.ndarray) -> list[str]:
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values.tolist()]
