"""What a folder of the user's holds: every change is another listing, and how many images there are is counted."""

from __future__ import annotations

import os

import numpy as np
import pytest

from phenoviews.errors import UserError
from phenoviews.study import Run, Study, listing, merge, plan
from phenoviews.study.document import shipped


@pytest.fixture
def folder(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for number in range(5):
            (tmp_path / "pictures" / name / f"{number}.png").write_text(f"{name} {number}")
    return tmp_path / "pictures"


@pytest.fixture(autouse=True)
def another_process():
    """Each process looks once; here every look is one of its own."""
    yield
    listing._walked.cache_clear()


def listed(*paths):
    listing._walked.cache_clear()
    return listing.listing(map(str, paths))


CHANGES = {
    "added": lambda folder: (folder / "cat" / "new.png").write_text("new"),
    "taken away": lambda folder: (folder / "cat" / "0.png").unlink(),
    "another name": lambda folder: (folder / "cat" / "0.png").rename(folder / "cat" / "9.png"),
    "another class": lambda folder: (folder / "cat" / "0.png").rename(folder / "dog" / "9.png"),
    "another class's name": lambda folder: (folder / "cat").rename(folder / "bird"),
    "another size at the same time": lambda folder: same_time(folder / "cat" / "0.png", "longer than before"),
    "an older file of the same size": lambda folder: os.utime(folder / "cat" / "0.png", (1, 1)),
    "in a folder below": lambda folder: (
        (folder / "cat" / "plate" / "well").mkdir(parents=True)
        or (folder / "cat" / "plate" / "well" / "0.png").write_text("deep")
    ),
}


def same_time(file, text):
    before = file.stat()
    file.write_text(text)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_every_change_is_another_listing(folder, change):
    before = listed(folder)
    assert listed(folder) == before
    change(folder)
    assert listed(folder) != before


def test_what_is_no_data_changes_nothing(folder):
    before = listed(folder)
    (folder / ".DS_Store").write_text("seen")
    (folder / "cat" / ".thumbs").mkdir()
    assert listed(folder) == before


def test_a_file_and_several_paths(folder, tmp_path):
    file = tmp_path / "platemap.csv"
    file.write_text("well,compound\n")
    before = listed(folder, file)
    same_time(file, "well;compound;more\n")
    assert listed(folder, file) != before


def test_links_are_followed_and_a_circle_ends(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "circle").symlink_to(folder)
    (folder / "broken").symlink_to(tmp_path / "nothing")
    before = listed(folder)
    (tmp_path / "elsewhere" / "0.png").write_text("there")
    assert listed(folder) != before


def test_a_path_that_is_gone_is_named_with_what_is_left_of_it(folder):
    with pytest.raises(UserError, match=rf"{folder}/catt/0: is not there \(of its folders there is {folder}\)"):
        listed(folder / "catt" / "0")


def test_the_users_images_are_counted_for_the_plan(folder, tmp_path, monkeypatch):
    """In the folder, in its part for training, in an .npz, and then where they were made; or as the entry says."""
    monkeypatch.chdir(tmp_path)

    def steps(path=folder, **more):
        entry = {"kind": "folder", "path": str(path), "size": 32, "mean": "own", "std": "own", "recipe": "mnist"}
        recipe = {"mnist": {"training": {"epochs": 1, "batch_size": 2}}}
        own = {"scale": "paper", "datasets": {"mine": {**entry, **more}}, "recipes": recipe}
        listing._walked.cache_clear()
        return Study(merge(shipped(), own)).load(Run("mine", "plain", "simclr", "vgg11", 5)).steps

    assert steps() == 10 * 0.8 / 2
    assert steps(test_fraction=0.4) == 10 * 0.6 / 2
    assert steps(images=500_000) == 500_000 / 2
    np.savez(tmp_path / "some.npz", images=np.zeros((40, 4, 4), np.uint8), labels=np.zeros(40))
    assert steps(tmp_path / "some.npz") == 40 * 0.8 / 2
    (folder / "cat").rename(tmp_path / "cat")
    (tmp_path / "cat").rename(folder / "train")
    assert steps() == 5 // 2
    (tmp_path / "results/data/mine").mkdir(parents=True)
    np.save(tmp_path / "results/data/mine/images.npy", np.zeros((100, 2, 2, 3), np.uint8))
    assert steps() == 5 // 2  # as before they were made
    folder.rename(tmp_path / "away")
    assert steps() == 100 * 0.8 / 2


def test_a_fine_tuning_has_images_enough(folder, monkeypatch, tmp_path):
    """The recipe's batches are of 256; there are eight images to train with."""
    monkeypatch.chdir(tmp_path)
    entry = {"kind": "folder", "path": str(folder), "size": 32, "mean": "own", "std": "own", "recipe": "cifar"}

    def settings(**recipe):
        listing._walked.cache_clear()
        own = {"scale": "paper", "datasets": {"mine": entry}, "recipes": {"cifar": recipe}}
        return plan.fine_tuning(Study(merge(shipped(), own)), Run("mine", "plain", "simclr", "resnet18", 5))

    message = "recipes.cifar.fine_tuning.training.batch_size is 256, but dataset 'mine' has about 8 images"
    with pytest.raises(UserError, match=message):
        settings()
    assert settings(fine_tuning={"training": {"batch_size": 8}}).training.batch_size == 8


def test_links_in_a_circle_are_counted_once(folder):
    before = listing.training_images(str(folder), 1.0)
    listing._walked.cache_clear()
    (folder / "round").symlink_to(folder, target_is_directory=True)
    assert listing.training_images(str(folder), 1.0) == before


@pytest.mark.parametrize(
    ("shape", "channels", "said"),
    [
        ((4, 3, 40, 48), None, r"`images` is \(4, 3, 40, 48\), channels first; .* images.transpose\(0, 2, 3, 1\)"),
        ((4, 1, 40, 48), 1, "channels first"),
        ((4, 5, 40, 48), ["a", "b", "c", "d", "e"], "channels first"),
        ((4, 40, 48, 4), None, "of 4 channels, and the key `channels` has none; correct it"),
        ((4, 40, 48, 4), 5, "of 4 channels, and the key `channels` says 5"),
        ((4, 40, 48), None, None),
        ((4, 40, 48, 3), 1, None),  # grey that was saved as colour
        ((4, 40, 48, 5), 5, None),
    ],
)
def test_an_npz_with_channels_first_is_refused_when_planned(shape, channels, said, tmp_path):
    """As the reader would, which reads it for minutes first."""
    np.savez(tmp_path / "mine.npz", images=np.zeros(shape, np.uint8), labels=np.arange(4) % 2)
    entry = {"kind": "folder", "path": str(tmp_path / "mine.npz"), "size": 32, "recipe": "cifar"}
    config = merge(shipped(), {"datasets": {"mine": {**entry, **({"channels": channels} if channels else {})}}})
    if said is None:
        Study(config)
        return
    with pytest.raises(UserError, match=rf"config: datasets.mine: .*mine.npz: .*{said}"):
        Study(config)
