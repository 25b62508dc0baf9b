"""Some classes of ImageNet (ILSVRC2012) from the user's own copy of it, as squares of one size.

Every image is decoded once, its shorter side is made `side` pixels and the central square is kept; for 100 classes and
256 pixels that is 25 GB. So crops at training are of that square, where the papers' code takes them from the whole
image.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL
from PIL import Image, UnidentifiedImageError, features
from tqdm import tqdm

from phenoviews.data.growing import finish, grow
from phenoviews.data.images import check
from phenoviews.data.pixels import SUFFIXES
from phenoviews.data.readers import left_out
from phenoviews.data.readers.left_out import LeftOut
from phenoviews.errors import UserError
from phenoviews.files import atomic

# The folders that hold our splits: the papers test on what ImageNet calls validation.
FOLDERS = {"train": "train", "test": "val"}
STEP = 256  # images decoded between two notes of how far it is: bounds the memory, 50 MB of squares of 256 pixels
THREADS = min(16, os.cpu_count() or 1)
# What Pillow can turn into RGB without a guess about depth; an alpha channel is dropped.
MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "CMYK"}
UINT8 = np.dtype(np.uint8)
TRUTHS = "ILSVRC2012_validation_ground_truth.txt with meta.mat beside it, or Kaggle's LOC_val_solution.csv"


def prepare(dataset: Mapping[str, Any], downloads: Mapping[str, Path], images: Path, index: Path) -> None:
    """The images of `classes` in the folder `path`: `train/class/*` and `val/class/*`, or `val/*` with the file
    `ground_truth` that tells their classes. Their order is that of the classes' names and of the files'.

    Images (n, side, side, 3) uint8. What cannot be decoded is left out, and named in `left_out.csv` beside `images`
    (source, reason); `UserError` as soon as it is more than the share `unreadable_fraction` of all.

    Done steps are kept in `images.part.npy` beside `images`: a killed process is taken up where it was, unless files,
    settings, this module or Pillow are others by then.
    """
    path, side, allowed = Path(dataset["path"]).expanduser(), dataset["side"], dataset["unreadable_fraction"]
    table = listing(path, dataset["classes"], dataset.get("ground_truth"))
    steps = [table["source"].iloc[start : start + STEP].tolist() for start in range(0, len(table), STEP)]
    part, most = images.with_name("images.part.npy"), (len(table), side, side, 3)
    # Around it all, since a full disk shows first in the part.
    with atomic(images) as whole, atomic(index) as rows, ThreadPoolExecutor(THREADS) as pool:

        def make(step: int) -> tuple[np.ndarray, LeftOut]:
            found = list(pool.map(partial(_decoded, path, side=side), steps[step]))
            kept = [one for one in found if isinstance(one, np.ndarray)]
            reasons = [(source, one) for source, one in zip(steps[step], found, strict=True) if isinstance(one, str)]
            return np.array(kept, UINT8).reshape(-1, side, side, 3), reasons

        broken: LeftOut = []
        seen = 0
        keys = _keys(side, [list(pool.map(partial(_state, path), sources)) for sources in steps])
        with tqdm(total=len(table), desc=f"decode {path.name}", unit="image", mininterval=1) as bar:
            for sources, found in zip(steps, grow(part, most, UINT8, keys, make), strict=True):
                broken += [(source, reason) for source, reason in found]
                seen += len(sources)
                bar.update(len(sources))
                many = f"of its first {seen} images of {len(table)} {len(broken)}"
                left_out.tolerate(path, broken, allowed, len(table), many)
        table = _without(path, table, broken)
        shape = (len(table), side, side, 3)
        check(images, shape, UINT8, table)
        table.to_parquet(rows, index=False)
        left_out.write(path, broken, images)
        finish(part, shape, UINT8, whole)


# --- which images ---


def listing(path: Path, classes: Iterable[str], ground_truth: str | None) -> pd.DataFrame:
    """The index of what ought to be there, images that cannot be read included."""
    classes, tables = sorted(classes), []
    for split, folder in FOLDERS.items():
        if not (path / folder).is_dir():
            raise UserError(
                f"{path}: has no folder {folder!r}; give the folder of ImageNet that holds train and val as the key "
                "`path` of the data set"
            )
        inside = path / folder
        by_folder = {name: _files(inside / name) for name in classes if (inside / name).is_dir()}
        loose = [] if by_folder or split == "train" else _files(inside)
        found = _flat(inside, loose, ground_truth) if loose else by_folder
        if missing := [name for name in classes if not found.get(name)]:
            raise UserError(
                f"{inside}: lacks images of {len(missing)} of the {len(classes)} classes that the key `classes` of the "
                f"data set lists: {', '.join(missing)}; add them, or correct the key `path`"
            )
        for label, name in enumerate(classes):
            sources = [file.relative_to(path).as_posix() for file in found[name]]
            tables.append(pd.DataFrame({"split": split, "label": label, "class": name, "source": sources}))
    return pd.concat(tables, ignore_index=True)


def _files(folder: Path) -> list[Path]:
    """Its image files, in the order of their names."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.lower().endswith(SUFFIXES) and entry.name[0] != "."]
    return [folder / name for name in sorted(names)]


def _flat(folder: Path, files: list[Path], ground_truth: str | None) -> dict[str, list[Path]]:
    """The files of each class in a folder without class folders. One that the ground truth names and that is not there
    is listed, too: as one that cannot be read."""
    if ground_truth is None:
        raise UserError(
            f"{folder}: its images lie in no class folders; name the file that tells their classes as the key "
            f"`ground_truth` of the data set: {TRUTHS}"
        )
    truth, by_name = truths(Path(ground_truth).expanduser()), {file.stem: file for file in files}
    if unknown := by_name.keys() - truth.keys():
        raise UserError(f"{folder}: of {min(unknown)} and {len(unknown) - 1} others {ground_truth} tells no class; "
                        "correct the key `ground_truth` of the data set, or remove them")  # fmt: skip
    found: dict[str, list[Path]] = {}
    for name, group in sorted(truth.items()):
        found.setdefault(group, []).append(by_name.get(name, folder / f"{name}.JPEG"))
    return found


def truths(file: Path) -> dict[str, str]:
    """The class of every validation image by its name without suffix.

    From Kaggle's table (ImageId, PredictionString: a class and a box, repeated), or from the official list: the number
    of a class in line i is that of image i, and meta.mat beside the list tells the number's class.
    """
    try:
        if file.suffix == ".csv":
            with file.open(newline="") as lines:
                return {row["ImageId"]: row["PredictionString"].split()[0] for row in csv.DictReader(lines)}
        from scipy.io import loadmat  # here: most copies need it not

        synsets = loadmat(file.with_name("meta.mat"), squeeze_me=True)["synsets"]
        class_of = dict(zip(synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist(), strict=True))
        numbers = [int(line) for line in file.read_text().split()]
        return {f"ILSVRC2012_val_{place:08d}": class_of[number] for place, number in enumerate(numbers, 1)}
    except Exception as error:  # what a broken file raises can be anything
        raise UserError(
            f"{file}: is no ground truth of ImageNet's validation images ({type(error).__name__}: {error}); give "
            f"{TRUTHS}"
        ) from error


# --- their pixels ---


def square(data: bytes, side: int) -> np.ndarray:
    """The central square of an image file, (side, side, 3) uint8: what torchvision's default loader, Resize(side) and
    CenterCrop(side) make of it, bit for bit; a turn that EXIF asks for is not made, as there. Pillow's errors for a
    broken file."""
    with Image.open(io.BytesIO(data)) as opened:
        if opened.mode not in MODES:
            raise ValueError(f"its colour mode is {opened.mode}")
        image = opened.convert("RGB")
    shorter, longer = min(image.size), max(image.size)
    size = [side if length == shorter else int(side * longer / shorter) for length in image.size]
    if min(size) != shorter:
        image = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    left, top = (round((length - side) / 2) for length in size)
    return np.asarray(image.crop((left, top, left + side, top + side)))


def _decoded(path: Path, source: str, side: int) -> np.ndarray | str:
    """The square of an image, or why there is none. What the disk and not the image is to blame for is a UserError."""
    try:
        data = (path / source).read_bytes()
    except FileNotFoundError:
        return "it is not there"
    except OSError as error:
        raise UserError(f"{path / source}: cannot be read ({error.strerror}); is the disk still there?") from error
    try:
        return square(data, side)
    except MemoryError:
        raise
    except UnidentifiedImageError:  # its message holds an address in memory
        return "no image, or broken in its first bytes"
    except Exception as error:  # decoders raise nearly anything for a broken file
        return str(error) or type(error).__name__


def _without(path: Path, table: pd.DataFrame, broken: LeftOut) -> pd.DataFrame:
    """The index of the images that there are; UserError where a class has none left in a split."""
    kept = table[~table["source"].isin([source for source, _ in broken])]
    groups = [set(zip(each["split"], each["class"], strict=True)) for each in (table, kept)]
    if lost := groups[0] - groups[1]:
        split, name = min(lost)
        raise UserError(f"{path / FOLDERS[split]}: no image of the class {name} can be read; repair them")
    return kept.reset_index(drop=True)


# --- what decides them ---


def _keys(side: int, steps: list[list[list[Any]]]) -> list[str]:
    """For each step a hash of all that decides its squares: settings, code, the states of its files."""
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    settings = [side, code, PIL.__version__, features.version("jpg")]
    return [hashlib.sha256(json.dumps([settings, states]).encode()).hexdigest() for states in steps]


def _state(path: Path, source: str) -> list[Any]:
    """A file's name, size and time of change."""
    try:
        state = (path / source).stat()
    except OSError:
        return [source]
    return [source, state.st_size, state.st_mtime_ns]
