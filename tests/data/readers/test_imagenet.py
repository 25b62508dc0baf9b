"""A made-up copy of ImageNet: what is read, how, what is left out and what is refused; killed and taken up again."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.io import savemat
from torchvision.datasets.folder import default_loader
from torchvision.transforms import v2

from phenoviews.data import Images
from phenoviews.data.readers import imagenet, prepare
from phenoviews.errors import UserError

LISTED = ["n02869837", "n01558993", "n01692333"]  # not in their order
UNLISTED = "n01440764"
SIDE = 32
GREY, CMYK, PNG, TRUNCATED = (
    "train/n01558993/n01558993_7.JPEG",
    "train/n01692333/n01692333_11.JPEG",
    "train/n02869837/n02869837_20.JPEG",
    "train/n01692333/n01692333_3.JPEG",
)
SHARE = 0.02  # of 150 images: three may be broken


def picture(rng: np.random.Generator) -> Image.Image:
    """A smooth one of a random size and form, as JPEG can keep it; some are smaller than SIDE, some as high."""
    width, height = rng.integers(20, 120, 2).tolist()
    colours = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize((width, SIDE if width % 5 == 0 else height), Image.Resampling.BICUBIC)


def jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.fixture(scope="session")
def original(tmp_path_factory) -> Path:
    """40 images of each class to train with and 10 to test with, two of them in other colours and two no JPEGs."""
    root, rng = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for name in [*LISTED, UNLISTED]:
        for folder, count in (("train", 40), ("val", 10)):
            (root / folder / name).mkdir(parents=True)
            for number in range(count):
                (root / folder / name / f"{name}_{number}.JPEG").write_bytes(jpeg(picture(rng)))
    with Image.open(root / GREY) as image:
        (root / GREY).write_bytes(jpeg(image.convert("L")))
    shutil.copy(root / CMYK, root / "rgb.png")
    with Image.open(root / CMYK) as image:
        image.save(root / "rgb.png")
        (root / CMYK).write_bytes(jpeg(image.convert("CMYK")))
    with Image.open(root / PNG) as image:
        image.save(root / PNG, "PNG")
    (root / TRUNCATED).write_bytes((root / TRUNCATED).read_bytes()[:-200])
    (root / "train" / LISTED[0] / "notes.txt").write_text("no image")
    return root


@pytest.fixture
def copy(original, tmp_path) -> Path:
    """One to be changed."""
    shutil.copytree(original, tmp_path / "copy")
    return tmp_path / "copy"


def run(path: Path, out: Path, **changed: object) -> Images:
    entry = {"kind": "imagenet", "path": str(path), "classes": LISTED, "side": SIDE, "unreadable_fraction": SHARE}
    prepare({**entry, **changed}, {}, out / "images.npy", out / "index.parquet")
    return Images.open(out)


@pytest.fixture(scope="session")
def images(original, tmp_path_factory) -> Images:
    return run(original, tmp_path_factory.mktemp("images"))


def refused(path: Path, out: Path, reason: str, **changed: object) -> str:
    with pytest.raises(UserError, match=reason) as caught:
        run(path, out, **changed)
    assert not (out / "images.npy").exists()
    assert not (out / "index.parquet").exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is kept ---


def test_listed_classes_by_their_names_and_validation_as_test_images(images):
    assert images.classes == sorted(LISTED)
    counts = images.index.groupby(["split", "class"]).size().to_dict()
    expected = {(split, name): count for name in LISTED for split, count in (("train", 40), ("test", 10))}
    assert counts == expected | {("train", "n01692333"): 39}
    assert images.superclasses is None
    assert UNLISTED not in set(images.index["class"])
    assert list(images.index) == ["split", "label", "class", "source"]
    assert [Path(source).parent.name for source in images.index["source"]] == images.index["class"].tolist()


def test_what_cannot_be_read_is_left_out_named_and_counted(original, tmp_path, capsys):
    out = run(original, tmp_path).folder
    left_out = pd.read_csv(out / "left_out.csv")
    assert left_out["source"].tolist() == [TRUNCATED]
    assert "truncated" in left_out["reason"][0]
    assert f"1 images cannot be read and are left out: {TRUNCATED} (" in capsys.readouterr().err
    assert sorted(file.name for file in out.iterdir()) == ["images.npy", "index.parquet", "left_out.csv"]


def test_nothing_left_out_is_said_as_well(copy, tmp_path, capsys):
    (copy / TRUNCATED).unlink()
    assert pd.read_csv(run(copy, tmp_path / "out").folder / "left_out.csv").empty
    assert "left out" not in capsys.readouterr().err


def test_pixels_are_torchvisions(images, original):
    """Of every image, whatever its size, form, colours and format."""
    whole = v2.Compose([v2.Resize(SIDE), v2.CenterCrop(SIDE)])
    assert images.array.shape == (149, SIDE, SIDE, 3)
    assert images.array.dtype == np.uint8
    for pixels, source in zip(images.array, images.index["source"], strict=True):
        np.testing.assert_array_equal(pixels, np.asarray(whole(default_loader(str(original / source)))))


def test_colours(images, original):
    found = {source: images.array[row].astype(int) for row, source in enumerate(images.index["source"])}
    assert (np.ptp(found[GREY], axis=-1) == 0).all()
    assert np.ptp(found[GREY]) > 50
    expected = imagenet.square((original / "rgb.png").read_bytes(), SIDE).astype(int)
    assert np.abs(found[CMYK] - expected).mean() < 3
    assert np.abs(found[CMYK] - expected[..., ::-1]).mean() > 10


@pytest.mark.parametrize("mode", ["I;16", "F", "YCbCr"])
def test_colours_that_would_be_guessed_are_no_images(mode):
    stream = io.BytesIO()
    Image.new(mode, (40, 40)).save(stream, "TIFF")
    with pytest.raises(ValueError, match=f"colour mode is {mode}"):
        imagenet.square(stream.getvalue(), SIDE)


def test_progress_bar(original, tmp_path, capsys):
    run(original, tmp_path)
    assert "150/150" in capsys.readouterr().err


# --- validation images without class folders ---


def flatten(copy: Path) -> pd.DataFrame:
    """Bring the validation images into one folder, in a mixed order and under their official names → name, class."""
    files = sorted((copy / "val").glob("*/*"))
    rows = []
    for number, place in enumerate(np.random.default_rng(0).permutation(len(files)), 1):
        name = f"ILSVRC2012_val_{number:08d}"
        rows.append((name, files[place].parent.name))
        files[place].rename(copy / "val" / f"{name}.JPEG")
    for folder in (copy / "val").iterdir():
        if folder.is_dir():
            folder.rmdir()
    return pd.DataFrame(rows, columns=["name", "class"])


def kaggle(folder: Path, truth: pd.DataFrame) -> Path:
    file = folder / "LOC_val_solution.csv"
    boxes = truth["class"] + " 1 2 30 40 " + truth["class"] + " 5 6 7 8 "
    pd.DataFrame({"ImageId": truth["name"], "PredictionString": boxes}).sample(frac=1, random_state=0).to_csv(
        file, index=False
    )
    return file


def official(folder: Path, truth: pd.DataFrame) -> Path:
    """The devkit's two files: a number for each image, and what the numbers (and those of no images) are."""
    (folder / "data").mkdir()
    numbers = {name: number for number, name in enumerate([UNLISTED, *LISTED], 1)}
    fields = ["ILSVRC2012_ID", "WNID", "words", "gloss", "num_children", "children", "wordnet_height"]
    synsets = np.empty((5, 1), dtype=[(field, object) for field in [*fields, "num_train_images"]])
    for row, (name, number) in enumerate([*numbers.items(), ("n00001740", 1001)]):
        synsets[row, 0] = (number, name, "some words", "a gloss", int(number > 1000), [2, 3], 0, 1300)
    savemat(folder / "data" / "meta.mat", {"synsets": synsets})
    file = folder / "data" / "ILSVRC2012_validation_ground_truth.txt"
    file.write_text("".join(f"{numbers[name]}\n" for name in truth["class"]))
    return file


@pytest.mark.parametrize("write", [kaggle, official])
def test_flat_validation_images(copy, images, tmp_path, write):
    """The same images under the same labels as in class folders, in the order of their new names."""
    flat = run(copy, tmp_path / "out", ground_truth=str(write(tmp_path, flatten(copy))))
    assert flat.index["class"].tolist() == images.index["class"].tolist()
    assert flat.index["source"][flat.rows("test")].str.fullmatch(r"val/ILSVRC2012_val_\d{8}\.JPEG").all()

    def pixels(some: Images) -> list[tuple[int, bytes]]:
        rows = some.rows("test")
        return sorted((label, some.array[row].tobytes()) for label, row in zip(some.labels("test"), rows, strict=True))

    assert pixels(flat) == pixels(images)


def test_a_validation_image_that_is_not_there_is_left_out(copy, tmp_path):
    truth = flatten(copy)
    name = truth.loc[truth["class"] == LISTED[0], "name"].iloc[0]
    (copy / "val" / f"{name}.JPEG").unlink()
    flat = run(copy, tmp_path / "out", ground_truth=str(kaggle(tmp_path, truth)))
    left_out = pd.read_csv(flat.folder / "left_out.csv").to_numpy().tolist()
    assert [f"val/{name}.JPEG", "it is not there"] in left_out
    assert len(flat.rows("test")) == 29


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOC_val_solution.csv", "ImageId,Box\na,b\n"),
        ("LOC_val_solution.csv", "ImageId,PredictionString\nILSVRC2012_val_00000001,\n"),
        ("ILSVRC2012_validation_ground_truth.txt", "1\n2\n"),  # no meta.mat beside it
        ("nowhere.csv", None),
    ],
)
def test_no_ground_truth(copy, tmp_path, name, text):
    flatten(copy)
    if text is not None:
        (tmp_path / name).write_text(text)
    message = refused(copy, tmp_path / "out", "no ground truth of ImageNet", ground_truth=str(tmp_path / name))
    assert name in message


def test_a_number_that_no_class_has(copy, tmp_path):
    truth = flatten(copy)
    file = official(tmp_path, truth)
    file.write_text(file.read_text().replace("3\n", "77\n", 1))
    refused(copy, tmp_path / "out", "KeyError: 77", ground_truth=str(file))


def test_flat_without_ground_truth(copy, tmp_path):
    flatten(copy)
    refused(copy, tmp_path / "out", "lie in no class folders; name the file .* as the key `ground_truth`")


def test_images_that_the_ground_truth_does_not_know(copy, tmp_path):
    truth = flatten(copy)
    refused(
        copy, tmp_path / "out", "ILSVRC2012_val_00000001 and 1 others", ground_truth=str(kaggle(tmp_path, truth[2:]))
    )


# --- what is refused ---


@pytest.mark.parametrize("missing", [LISTED[:1], LISTED[1:], LISTED])
@pytest.mark.parametrize("folder", ["train", "val"])
def test_missing_classes_are_named_with_the_key(copy, tmp_path, missing, folder):
    for name in missing:
        shutil.rmtree(copy / folder / name)
    message = refused(copy, tmp_path / "out", rf"/{folder}: lacks images of {len(missing)} of the 3 classes")
    assert ", ".join(sorted(missing)) in message
    assert "`classes`" in message
    assert "`path`" in message


def test_a_class_without_images(copy, tmp_path):
    for file in (copy / "train" / LISTED[0]).glob("*.JPEG"):
        file.unlink()
    refused(copy, tmp_path / "out", f"lacks images of 1 of the 3 classes .*: {LISTED[0]};")


def test_a_folder_that_is_none(original, tmp_path):
    refused(tmp_path / "nowhere", tmp_path / "out", "nowhere: has no folder 'train'; .* key `path`")
    refused(original / "train", tmp_path / "out", "train: has no folder 'train'; .* key `path`")


def test_too_many_broken_images(copy, tmp_path):
    for number in range(3):
        (copy / "val" / LISTED[0] / f"{LISTED[0]}_{number}.JPEG").write_bytes(b"no image")
    reason = "of its first 150 images of 150 4 cannot be read, more than the share of 0.02 .* `unreadable_fraction`"
    message = refused(copy, tmp_path / "out", reason)
    assert TRUNCATED in message
    assert f"val/{LISTED[0]}/{LISTED[0]}_2.JPEG (no image, or broken in its first bytes)" in message
    # A larger share allows them, and what was decoded is not decoded again.
    found = run(copy, tmp_path / "out", unreadable_fraction=0.04)
    assert len(found.array) == 146
    assert len(pd.read_csv(found.folder / "left_out.csv")) == 4


def test_a_class_of_which_nothing_can_be_read(copy, tmp_path):
    for file in (copy / "val" / LISTED[0]).iterdir():
        file.write_bytes(b"no image")
    refused(copy, tmp_path / "out", f"/val: no image of the class {LISTED[0]} can be read", unreadable_fraction=0.5)


def test_the_disk_is_to_blame(copy, tmp_path):
    """What cannot be read for another reason than itself does not count as a broken image."""
    (copy / TRUNCATED).unlink()
    (copy / TRUNCATED).mkdir()
    refused(copy, tmp_path / "out", f"{TRUNCATED}: cannot be read .*; is the disk still there")


def test_full_disk(original, small_disk):
    refused(original, small_disk, "no space left")


# --- bounded, stopped and taken up again ---


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(imagenet, "STEP", 8)


@pytest.fixture
def decoded(monkeypatch) -> list[bytes]:
    """The files that are decoded."""
    found, square = [], imagenet.square
    monkeypatch.setattr(imagenet, "square", lambda data, side: (found.append(data), square(data, side))[1])
    return found


def test_steps_decide_nothing(original, images, small_steps, tmp_path):
    again = run(original, tmp_path)
    assert (again.folder / "images.npy").read_bytes() == (images.folder / "images.npy").read_bytes()
    pd.testing.assert_frame_equal(again.index, images.index)


def test_few_images_are_in_memory(original, small_steps, tmp_path, monkeypatch):
    square, alive, most = imagenet.square, weakref.WeakSet(), []

    class Square(np.ndarray):
        """An array that can be in a set."""

        __hash__ = object.__hash__

    def watched(data: bytes, side: int) -> np.ndarray:
        made = square(data, side).view(Square)
        alive.add(made)
        most.append(len(alive))
        return made

    monkeypatch.setattr(imagenet, "square", watched)
    run(original, tmp_path)
    assert len(most) == 149
    assert max(most) <= 16


# Kills itself at its n-th `moment`: a decoded image, or a flush to the disk, of the rows or of the journal in turn.
CHILD = """
import os, signal, sys
from pathlib import Path
from phenoviews.data.readers import imagenet

moment, number, path, out = sys.argv[1], int(sys.argv[2]), sys.argv[3], Path(sys.argv[4])
holder = {"square": imagenet, "fsync": os}[moment]
real, calls = getattr(holder, moment), []

def mortal(*arguments):
    calls.append(arguments)
    if len(calls) == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments)

setattr(holder, moment, mortal if moment == "fsync" else lambda data, side: mortal(data, side))
imagenet.STEP = 8
entry = {"path": path, "classes": CLASSES, "side": SIDE, "unreadable_fraction": SHARE}
imagenet.prepare(entry, {}, out / "images.npy", out / "index.parquet")
"""
CHILD = CHILD.replace("CLASSES", repr(LISTED)).replace("SIDE", str(SIDE)).replace("SHARE", str(SHARE))


def killed(path: Path, out: Path, moment: str, number: int) -> None:
    scripts = Path(imagenet.__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, moment, str(number), str(path), str(out)],
        env={**os.environ, "PYTHONPATH": str(scripts)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert (out / "images.part.npy").exists()
    assert not (out / "images.npy").exists()
    assert not (out / "index.parquet").exists()


# 19 steps of 8 images: after the rows of the fifth are written, after the fifth is in the journal, amid the sixth.
@pytest.mark.parametrize(("moment", "number", "done"), [("fsync", 9, 4), ("fsync", 10, 5), ("square", 44, 5)])
def test_killed_and_taken_up(original, images, small_steps, tmp_path, decoded, moment, number, done):
    killed(original, tmp_path, moment, number)
    again = run(original, tmp_path)
    assert len(decoded) == 150 - 8 * done
    assert (tmp_path / "images.npy").read_bytes() == (images.folder / "images.npy").read_bytes()
    pd.testing.assert_frame_equal(again.index, images.index)
    assert (tmp_path / "left_out.csv").read_bytes() == (images.folder / "left_out.csv").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir() if "part" in file.name and file.name[0] != ".") == []


@pytest.mark.parametrize("what", ["file", "broken", "side", "pillow"])
def test_what_has_changed_in_between_is_decoded_again(copy, small_steps, tmp_path, decoded, monkeypatch, what):
    out, changed = tmp_path / "out", {}
    killed(copy, out, "fsync", 20)
    file = copy / "train" / "n01558993" / "n01558993_30.JPEG"
    place = sorted(file.parent.iterdir()).index(file)
    if what == "file":
        file.write_bytes((copy / "train" / UNLISTED / f"{UNLISTED}_1.JPEG").read_bytes())
    elif what == "broken":
        file.write_bytes(b"no image")
    elif what == "side":
        changed = {"side": 24}
    else:
        monkeypatch.setattr("PIL.__version__", "1.0")
    found = run(copy, out, **changed)
    made = len(decoded)
    assert made == 150 - (place // 8 * 8 if what in ("file", "broken") else 0)
    fresh = run(copy, tmp_path / "fresh", **changed)
    assert (found.folder / "images.npy").read_bytes() == (fresh.folder / "images.npy").read_bytes()
    pd.testing.assert_frame_equal(found.index, fresh.index)
