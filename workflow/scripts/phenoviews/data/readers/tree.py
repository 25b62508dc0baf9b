"""Which images a folder holds, and of which class and split each is."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from phenoviews.data import pixels
from phenoviews.data.images import SPLITS
from phenoviews.errors import UserError

# What people call the folder of a split; None where it could be one or another.
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "devel", "development"), "val"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
    **dict.fromkeys(("eval", "evaluation", "holdout", "heldout", "trainval", "crossvalidation", "fold", "split"), None),
}
# What such a name may say besides: train_set, Test-Images, training data.
FILLING = ("dataset", "sets", "set", "data", "splits", "split", "images", "image", "imgs", "img", "folder", "files")
NOISE = {"thumbs.db", "desktop.ini", "__macosx"}  # what systems leave behind, in lower case
FEW = 5  # examples that a message names


@dataclass(frozen=True)
class Found:
    """An image file: where it is, its path in the tree, its class; and its split, if the tree has splits of its own."""

    file: Path
    source: str
    name: str
    split: str | None
    place: str = field(repr=False)  # where the file really is


@dataclass
class Walk:
    """What was met on the way besides images of classes."""

    root: Path
    refuse_splits: bool  # as folders below a class
    skipped: Counter[str] = field(default_factory=Counter)  # files that are no images, by suffix
    example: dict[str, str] = field(default_factory=dict)
    again: list[str] = field(default_factory=list)  # links to what is there already
    loose: list[str] = field(default_factory=list)  # images in no class folder

    def say(self) -> None:
        """One line on stderr for each kind of thing that is left out."""
        kinds = [f"{count} of {kind} (as {self.example[kind]})" for kind, count in self.skipped.most_common()]
        for what, count, named in (
            ("files are no images that can be read here", self.skipped.total(), kinds),
            ("files are links to images that are there already", len(self.again), self.again),
            ("images lie in no class folder", len(self.loose), self.loose),
        ):
            if count:
                more = ", …" if len(named) > FEW else ""
                print(f"phenoviews: {self.root}: {count} {what} and are left out: {', '.join(named[:FEW])}{more}",
                      file=sys.stderr)  # fmt: skip


def listing(path: Path, splits: Mapping[str, str] | None) -> list[Found]:
    """The images of `class/…/image`, or of `split/class/…/image`, in the order of splits, classes and paths.

    `splits`: {split: the name of its folder}; empty, no folder is a split; None, folders are taken for splits by what
    they are called. An image that several links lead to counts once. What is left out is said on stderr.

    Raises UserError for splits that are not told apart, an image in two classes or splits, a class without images.
    """
    walk, top = Walk(path, refuse_splits=splits != {}), _folders(path)
    walk.loose += [file.name for file in sorted(path.iterdir()) if _is_image(file)]
    parts: dict[str | None, Path] = {None: path} if splits == {} else {}
    beside = [folder.name for folder in top if splits and folder.name not in splits.values()]
    if beside:
        print(f"phenoviews: {path}: {len(beside)} folders that the key `splits` does not name are left out: "
              f"{', '.join(beside[:FEW])}{', …' if beside[FEW:] else ''}", file=sys.stderr)  # fmt: skip
    if splits:
        if lacking := sorted(set(splits.values()) - {folder.name for folder in top}):
            raise UserError(f"{path}: has no folder {lacking[0]!r}, which the key `splits` of the data set names; it "
                            f"has {', '.join(folder.name for folder in top) or 'none'}")  # fmt: skip
        parts = {split: path / splits[split] for split in SPLITS if split in splits}
    elif splits is None:
        parts = _splits(path, [folder.name for folder in top])
    found: list[Found] = []
    for split, folder in parts.items():
        if split is not None:
            walk.loose += [f"{folder.name}/{file.name}" for file in sorted(folder.iterdir()) if _is_image(file)]
        found += _classes(folder, split, walk)
    _once(path, found)
    walk.say()
    return found


def split_word(name: str) -> tuple[bool, str | None]:
    """Whether a folder of this name is plainly a split or a part of a data set; and which split, None where that is
    open: `Training_Set` is train, `eval` could be val or test."""
    words = re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).casefold())
    told = "".join(word for word in words if word not in FILLING) or "".join(words)
    told = told if told in SPLIT_WORDS else re.sub(f"({'|'.join(FILLING)})$", "", told)
    return told in SPLIT_WORDS, SPLIT_WORDS.get(told)


def _splits(path: Path, names: list[str]) -> dict[str | None, Path]:
    """{split: its folder}, or {None: path} where none of the folders is one."""
    if not any(split_word(name)[0] for name in names):
        return {None: path}
    parts: dict[str | None, Path] = {}
    for name in names:
        split = split_word(name)[1]
        if split is None or split in parts:
            parts = {}
            break
        parts[split] = path / name
    if not {"train", "test"} <= set(parts):
        raise UserError(
            f"{path}: holds {', '.join(sorted(names))}; with splits of its own it needs train and test, "
            "may have val, and nothing else: add, rename or remove folders, or tell which is which by the key `splits` "
            "of the data set (such as {train: training, test: valid}; {} where all of them are classes)"
        )
    return {split: parts[split] for split in SPLITS if split in parts}


def _folders(path: Path) -> list[Path]:
    return sorted(child for child in path.iterdir() if child.is_dir() and not _is_noise(child.name))


def _is_noise(name: str) -> bool:
    return name.startswith(".") or name.casefold() in NOISE


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in pixels.SUFFIXES and not _is_noise(path.name) and not path.is_dir()


def _classes(path: Path, split: str | None, walk: Walk) -> list[Found]:
    found: list[Found] = []
    for folder in _folders(path):
        files = _files(folder, walk)
        if not files:
            raise UserError(f"{folder}: has no images ({', '.join(pixels.SUFFIXES)}); add some or remove the folder")
        found += [
            Found(file, file.relative_to(walk.root).as_posix(), folder.name, split, place)
            for place, file in sorted(files.items(), key=lambda item: item[1])
        ]
    if not found:
        raise UserError(f"{path}: has no images in folders named by class, such as {path.name}/treated/1.png")
    return found


def _files(folder: Path, walk: Walk) -> dict[str, Path]:
    """The image files of a class by where they really are: each once, however many links lead to it. Links in a circle
    come to an end."""
    found: dict[str, Path] = {}
    entered: set[str] = set()
    for parent, below, inside in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in entered:
            below.clear()
            continue
        entered.add(real)
        below[:] = sorted(name for name in below if not _is_noise(name))
        for name in below:
            if walk.refuse_splits and split_word(name)[1]:
                raise UserError(
                    f"{folder}: has the folder {name!r}, which is a split, inside a class; put splits above classes, "
                    f"as in {split_word(name)[1]}/{folder.name}/1.png, or rename it"
                )
        for name in sorted(inside):
            file = Path(parent, name)
            if _is_noise(name):
                continue
            if file.suffix.lower() not in pixels.SUFFIXES:
                kind = file.suffix.lower() or "no suffix"
                walk.skipped[kind] += 1
                walk.example.setdefault(kind, file.relative_to(walk.root).as_posix())
                continue
            place = os.path.realpath(file) if file.is_symlink() else os.path.join(real, name)
            if place not in found:
                found[place] = file
                continue
            kept, other = sorted((found[place], file), key=Path.is_symlink)
            found[place] = kept
            walk.again.append(other.relative_to(walk.root).as_posix())
    return found


def _once(path: Path, found: list[Found]) -> None:
    """Refuse one file in two classes or splits, to which links may lead."""
    places: dict[str, Found] = {}
    for each in found:
        other = places.setdefault(each.place, each)
        if (other.name, other.split) != (each.name, each.split):
            what = "splits" if other.split != each.split else "classes"
            raise UserError(f"{path}: {other.source} and {each.source} are one image in two {what}; remove a link")
