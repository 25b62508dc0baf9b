"""What a user brings: a tree of image files in the layout of torchvision's ImageFolder, or one .npz file."""

from __future__ import annotations

import math
import os
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from phenoviews.data import pixels
from phenoviews.data.images import SPLITS, check, write, write_array
from phenoviews.data.readers import copies, left_out
from phenoviews.data.readers.left_out import LeftOut
from phenoviews.data.readers.tree import Found, listing
from phenoviews.data.split import stratified
from phenoviews.errors import UserError
from phenoviews.files import atomic

THREADS = min(8, os.cpu_count() or 1)
BATCH = 256  # images decoded at a time: bounds the memory

FRACTIONS = {"test_fraction": 0.2, "val_fraction": 0.0}  # where the entry does not say otherwise
COLOURS = {1: "grey", 3: "RGB"}

Kind = tuple[tuple[int, ...], np.dtype]  # shape (or channels alone) and type of images


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """`path` of the entry is a folder or an .npz file.

    A folder holds `class/…/image` or, with its own splits, `train/class/…/image`, `test/…` and maybe `val/…`, under
    these names, others of that meaning, or those that `splits` gives. An .npz holds `images` (n, H, W[, C]) uint8 or
    uint16, `labels` (n,) integers or strings, maybe `split` (n,) of "train", "val", "test", and maybe arrays
    `Metadata_*` (n,). Without splits of its own the data is split by `test_fraction` (0.2), `val_fraction` (0) and
    `split_seed` (0), stratified. `superclasses`, {superclass: [class, …]}, has every class once, if the entry has it.

    All images have one depth and number of channels: 1 or 3, or `channels`, a number or a name for each. Where all are
    grey, if only because their three channels are equal, the data set has one channel. They have one size, or `resize`
    says how they get it (`_fitting`). What cannot be read is named all at once, and up to the share
    `unreadable_fraction` (0) of the files is left out, and named in `left_out.csv` beside `images` (source, reason).
    """
    path, channels = Path(dataset["path"]).expanduser(), dataset.get("channels")
    dataset = {**dataset, "channels": channels if channels is None or isinstance(channels, int) else len(channels)}
    if path.is_dir():
        _prepare_tree(path, dataset, images, index)
    elif path.suffix.lower() == ".npz" and path.is_file():
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
    _unlike(classes, path)
    if split is not None:
        _own_splits(path, names, split, dataset)
    groups = dataset.get("superclasses")
    label_of = {name: label for label, name in enumerate(classes)}
    labels = np.array([label_of[name] for name in names], dtype=np.int64)
    if split is None:
        test, val = (dataset.get(key, default) for key, default in FRACTIONS.items())
        try:
            split = stratified(labels, classes, test, val, dataset.get("split_seed", 0))
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    table = pd.DataFrame({"split": split, "label": labels, "class": names, "source": sources})
    return table.assign(superclass=_superclasses(path, classes, names, groups)) if groups else table


def _unlike(classes: Sequence[str], path: Path) -> None:
    """Refuse classes whose names differ by blanks alone: one class, most likely. Case may tell letters apart."""
    spelled: dict[str, str] = {}
    for name in sorted(classes):
        if (other := spelled.setdefault(" ".join(name.split()), name)) != name:
            raise UserError(f"{path}: the classes {other!r} and {name!r} differ by blanks only; bring them under one "
                            "name, or under two that differ more")  # fmt: skip


def _own_splits(path: Path, names: list[str], split: np.ndarray, dataset: Mapping[str, Any]) -> None:
    """Refuse a class that is not trained on, and fractions where nothing is left to divide."""
    trained = {name for name, of in zip(names, split, strict=True) if of == "train"}
    for name, of in zip(names, split, strict=True):
        if name not in trained:
            raise UserError(f"{path}: {of} has the class {name!r}, which train lacks")
    for key, default in FRACTIONS.items():
        if dataset.get(key, default) != default:
            raise UserError(
                f"{path}: has splits of its own, so that `{key}` of the data set says nothing; take it out, or bring "
                "the images without splits"
            )


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


@dataclass(frozen=True)
class _Kept:
    """An image among those that were read: its kind, where its bytes are, and what is the same of its copies."""

    shape: tuple[int, ...]
    dtype: np.dtype
    start: int
    content: bytes

    @property
    def size(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _prepare_tree(path: Path, dataset: Mapping[str, Any], images: Path, index: Path) -> None:
    found = listing(path, dataset.get("splits"))
    # What is read is kept aside, without a name, until it is known of all of it: the size, whether there are colours.
    with atomic(images) as whole, tempfile.TemporaryFile(dir=whole.parent) as store:
        kept, broken, coloured = _read(path, found, dataset.get("channels"), store)
        allowed, total = dataset.get("unreadable_fraction", 0.0), len(found)
        left_out.tolerate(path, broken, allowed, total, f"{len(broken)} of its {total} images")
        there = [each for each in found if each.source in kept]
        _nothing_lost(path, found, there)
        _one_kind(path, kept, coloured, dataset.get("resize", "refuse"))
        shapes = [one.shape for one in kept.values()]
        how = _fitting(path, shapes, dataset.get("resize", "refuse"), dataset.get("side"))
        grey = not coloured and dataset.get("channels") in (None, 1)
        dtype, planes = next(iter(kept.values())).dtype, 1 if grey else max(one.shape[2] for one in kept.values())

        def fitted() -> Iterator[np.ndarray]:
            for one in kept.values():
                store.seek(one.start)
                image = np.frombuffer(store.read(one.size), one.dtype).reshape(one.shape)
                yield how.fit(image[..., :1] if grey else image)[np.newaxis]

        names, own = [each.name for each in there], there[0].split is not None
        split = np.array([each.split for each in there], dtype=object) if own else None
        table = _table(path, sorted(set(names)), names, [each.source for each in there], split, dataset)
        shape = (len(there), how.height, how.width, planes)
        check(images, shape, dtype, table)
        with atomic(index) as rows:
            table.to_parquet(rows, index=False)
            write_array(whole, fitted(), shape, dtype)
        copies.say(path, [one.content for one in kept.values()], table)
        if broken:
            left_out.write(path, broken, images)
        else:  # an earlier one would name images that are there by now
            images.with_name(left_out.FILE).unlink(missing_ok=True)


def _read(
    path: Path, found: list[Found], channels: int | None, store: IO[bytes]
) -> tuple[dict[str, _Kept], LeftOut, bool]:
    """Read the images into `store`: those that were kept by their source, the reasons why others cannot be, and whether
    any has three channels that differ."""
    kept: dict[str, _Kept] = {}
    broken: LeftOut = []
    coloured = False

    def one(file: Path) -> np.ndarray | str:
        try:
            return pixels.read(file, channels)
        except pixels.Unreadable as error:
            return error.reason

    with (
        tqdm(total=len(found), desc=f"read {path.name}", unit="image", mininterval=1) as bar,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        for start in range(0, len(found), BATCH):
            batch = found[start : start + BATCH]
            for each, image in zip(batch, pool.map(one, [each.file for each in batch]), strict=True):
                if isinstance(image, str):
                    broken.append((each.source, image))
                    continue
                coloured = coloured or not pixels.is_grey(image)
                kept[each.source] = _Kept(image.shape, image.dtype, store.tell(), copies.content(image))
                store.write(np.ascontiguousarray(image).data)
            bar.update(len(batch))
    return kept, broken, coloured


def _nothing_lost(path: Path, found: list[Found], there: list[Found]) -> None:
    """Refuse a class none of whose images can be read."""
    groups = [{(each.split or "", each.name) for each in some} for some in (found, there)]
    if lost := groups[0] - groups[1]:
        split, name = min(lost)
        raise UserError(
            f"{path}: no image of the class {name!r} {f'in {split} ' * bool(split)}can be read; repair them"
        )


def _one_kind(path: Path, kept: Mapping[str, _Kept], coloured: bool, resize: str) -> None:
    """Refuse images of two depths, or numbers of channels (grey saved as colour is grey), or sizes if none may be
    resized."""
    kinds: Counter[Kind] = Counter()
    example: dict[Kind, str] = {}
    for source, one in kept.items():
        planes = one.shape[2] if coloured or one.shape[2] not in (1, 3) else 1
        kind = (*(one.shape[:2] if resize == "refuse" else ()), planes), one.dtype
        kinds[kind] += 1
        example.setdefault(kind, source)
    if len(kinds) == 1:
        return
    described = " and ".join(
        f"{count} of {f'{shape[0]}x{shape[1]} pixels, ' if len(shape) == 3 else ''}"
        f"{COLOURS.get(shape[-1], f'{shape[-1]} channels')}, {8 * dtype.itemsize} bits (as {example[shape, dtype]})"
        for (shape, dtype), count in kinds.most_common(2)
    )
    sizes = len({(*shape[-1:], dtype) for shape, dtype in kinds}) == 1
    cure = ", or tell by the key `resize` of the data set how (shorter_side, crop, pad)" if sizes else ""
    raise UserError(
        f"{path}: its images are of {len(kinds)} kinds, {described}; bring them to one size, depth and colour{cure}"
    )


# --- images of several sizes ---


@dataclass(frozen=True)
class _Fit:
    """How images of any size become one of `height` × `width`: their shorter side is brought to that length first, or
    not; then what is too much is cut off around the middle, and what lacks is zero."""

    height: int
    width: int
    scaled: bool = False

    def fit(self, image: np.ndarray) -> np.ndarray:
        """(H, W, C) → (height, width, C)."""
        if self.scaled and min(image.shape[:2]) != self.height:
            image = _scaled(image, self.height)
        for axis, side in enumerate((self.height, self.width)):
            over = image.shape[axis] - side
            if over > 0:
                image = image.take(range(over // 2, over // 2 + side), axis)
            elif over < 0:
                before = [(0, 0), (0, 0), (0, 0)]
                before[axis] = (-over // 2, -over - -over // 2)
                image = np.pad(image, before)
        return image


def _fitting(path: Path, shapes: Sequence[tuple[int, ...]], resize: str, side: int | None) -> _Fit:
    """What the setting `resize` asks for: `shorter_side`, scaled so that this is `side`, and the middle square of that;
    `crop`, the middle square of `side` pixels, not scaled, so that a pixel stays as large as it is; `pad`, zeros
    around, up to the largest. `side`: by default the least shorter side, so that nothing is enlarged or filled up."""
    shorter = [min(shape[:2]) for shape in shapes]
    if resize in ("shorter_side", "crop"):
        side = side or min(shorter)
        if resize == "crop" and (small := sum(length < side for length in shorter)):
            raise UserError(
                f"{path}: {small} of its {len(shapes)} images are smaller than the `side: {side}` that `resize: crop` "
                f"cuts out; lower it to {min(shorter)} or less, or choose shorter_side or pad"
            )
        return _Fit(side, side, scaled=resize == "shorter_side")
    height, width = (max(shape[axis] for shape in shapes) for axis in (0, 1))
    return _Fit(height, width)


def _scaled(image: np.ndarray, side: int) -> np.ndarray:
    """The image with its shorter side of `side` pixels: each channel by Pillow's bilinear filter, which averages where
    it makes smaller, in floating point."""
    shorter = min(image.shape[:2])
    height, width = (max(side, round(length * side / shorter)) for length in image.shape[:2])
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR))
        for plane in np.moveaxis(image, 2, 0)
    ]
    top = np.iinfo(image.dtype).max
    rounded: np.ndarray = np.rint(np.stack(planes, axis=2)).clip(0, top).astype(image.dtype)
    return rounded


# --- one .npz file ---


def _prepare_npz(path: Path, dataset: Mapping[str, Any], images: Path, index: Path) -> None:
    if dataset.get("splits"):
        raise UserError(
            f"{path}: an .npz has no folders for the key `splits` of the data set; give it an array `split`"
        )
    arrays, channels = _arrays(path), dataset["channels"]
    array, labels, split = arrays["images"], arrays["labels"], arrays.get("split")
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if (
        array.ndim != 4
        or array.dtype.name not in ("uint8", "uint16")
        or (channels is None and array.shape[3] not in (1, 3))
        or 0 in array.shape
    ):
        raise UserError(
            f"{path}: `images` is {arrays['images'].shape} {array.dtype}; it must be (n, H, W), (n, H, W, 1) "
            "or (n, H, W, 3) of uint8 or uint16, or have as many channels C, (n, H, W, C), as the key `channels` of "
            "the data set says"
        )
    if channels in (None, 1) and all(pixels.is_grey(image) for image in array):
        array = array[..., :1]
    if channels not in (None, array.shape[3]):
        raise UserError(f"{path}: `images` has {array.shape[3]} channels where the key `channels` of the data set says "
                        f"{channels}")  # fmt: skip
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
    if (resize := dataset.get("resize", "refuse")) != "refuse":
        how = _fitting(path, [array.shape[1:]] * len(array), resize, dataset.get("side"))
        array = np.stack([how.fit(image) for image in array])
    write(images, index, array, table)
    copies.say(path, [copies.content(image) for image in array], table)


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
