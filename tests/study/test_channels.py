"""How many channels a network is shown, and what is refused of them before anything runs."""

from __future__ import annotations

import pytest

from phenoviews.errors import UserError
from phenoviews.study import Run, Study
from phenoviews.study.document import merge, shipped

PAINTING = dict(zip(["DNA", "ER", "RNA", "AGP", "mitochondria"], "12345", strict=True))
SCREEN = {"kind": "pattern", "path": "x", "pattern": "{plate}/{well}_{channel}.tif", "platemap": "p.csv"}
CELLS = {"kind": "cells", "plates": ["a"], "compound": "drug"}
FOLDER = {"kind": "folder", "path": "x", "size": 48, "recipe": "cells"}


def study(**datasets: dict) -> Study:
    """The shipped study with screens of five channels and one, and some data sets."""
    screens = {"five": {**SCREEN, "channels": PAINTING}, "one": {**SCREEN, "channels": {"DNA": "1"}}}
    given = {"painted": {**CELLS, "screen": "five"}, "dna": {**CELLS, "screen": "one"}, **datasets}
    return Study(merge(shipped(), {"screens": screens, "datasets": given}))


def resolved(name: str, transform: str = "any_channels", method: str = "moco", backbone: str = "resnet18", **datasets):
    made = study(**datasets)
    return made.resolve(made.on_disk(made.spelled(Run(name, transform, method, backbone, 5))))


@pytest.mark.parametrize("count", range(1, 13))
def test_a_screen_has_1_to_12_channels(count):
    channels = {f"stain {number}": str(number) for number in range(count)}
    config = merge(shipped(), {"screens": {"lab": {**SCREEN, "channels": channels}}})
    assert Study(config).entry("screens", "lab")["channels"] == channels


def test_more_are_refused():
    channels = {f"stain {number}": str(number) for number in range(13)}
    with pytest.raises(UserError, match=r"screens\.lab\.channels"):
        Study(merge(shipped(), {"screens": {"lab": {**SCREEN, "channels": channels}}}))


@pytest.mark.parametrize(
    ("name", "entry", "channels"),
    [
        ("painted", {}, 5),
        ("dna", {}, 1),
        ("grey_or_rgb", FOLDER, 3),
        ("counted", {**FOLDER, "channels": 4}, 4),
        ("named", {**FOLDER, "channels": ["phase", "GFP"]}, 2),
        ("mnist", None, 3),
    ],
)
def test_networks_take_the_channels_of_the_data(name, entry, channels):
    run = resolved(name, **({name: entry} if entry else {}))
    assert run.dataset.channels == channels
    if entry is not None:
        assert run.dataset.mean == run.dataset.std == "own"  # a user's data have no better default
    assert ("channels" in run.dataset.to_dict()) == (channels != 3)  # and RGB runs stay as they are
    assert run.backbone.channels == "together"
    assert "channels" not in run.backbone.to_dict()


def test_one_number_is_that_of_every_channel():
    run = resolved("told", told={**CELLS, "screen": "five", "mean": [0.1], "std": [0.2]})
    assert (run.dataset.mean, run.dataset.std) == ([0.1] * 5, [0.2] * 5)
    with pytest.raises(
        UserError, match=r"datasets\.told\.mean: 3 numbers for 5 channels; give 5, one for all, or `own`"
    ):
        study(told={**CELLS, "screen": "five", "mean": [0.1] * 3, "std": [0.2] * 3})


@pytest.mark.parametrize(("name", "channels"), [("painted", 5), ("dna", 3), ("mnist", 3)])
def test_frozen_encoders_see_each_channel_as_a_colour(name, channels):
    run = resolved(name, "plain", "imagenet", "resnet18+channels=each")
    assert run.dataset.channels == channels
    assert run.backbone.channels == "each"
    if channels == 5:
        assert run.dataset.mean == pytest.approx([(0.485 + 0.456 + 0.406) / 3] * 5)
        assert run.dataset.std == pytest.approx([(0.229 + 0.224 + 0.225) / 3] * 5)
    else:
        assert run.dataset.mean == [0.485, 0.456, 0.406]


@pytest.mark.parametrize(
    ("transform", "said"),
    [
        ("single_cell", "color_jitter: saturation and hue of 5 channels"),
        ("single_cell+hue=0", "color_jitter: saturation of 5 channels"),
        ("single_cell+color_jitter=off", "random_grayscale: the greyscale of 5 channels"),
    ],
)
def test_what_is_of_rgb_alone_is_refused_with_what_to_take(transform, said):
    with pytest.raises(UserError, match=f"{said} has no meaning; .*random_gain.* as the transform any_channels does"):
        resolved("painted", transform)
    resolved("painted", "single_cell+random_grayscale=off+saturation=0+hue=0")
    resolved("dna", transform)


@pytest.mark.parametrize(("backbone", "least"), [("vgg11", 32), ("vgg19", 32), ("convnext_tiny", 32), ("resnet18", 8)])
def test_images_that_a_network_would_halve_to_nothing_are_refused(backbone, least):
    assert resolved("x", backbone=backbone, x={**FOLDER, "size": least}).dataset.size == least
    if least > 8:
        with pytest.raises(UserError, match=f"images of 31 pixels are too small for {backbone}"):
            resolved("x", backbone=backbone, x={**FOLDER, "size": 31})


def nearest(made: dict, datasets: list[str]) -> dict:
    runs = {"dataset": datasets, "transform": "any_channels", "method": "moco", "backbone": "resnet18"}
    panel = {
        "title": "Cells",
        "plot": "nearest",
        "runs": runs,
        "clusters": 2,
        "images": 5,
        "columns": ["dataset"],
        **made,
    }
    screens = {"five": {**SCREEN, "channels": PAINTING}, "one": {**SCREEN, "channels": {"DNA": "1"}}}
    given = {"painted": {**CELLS, "screen": "five"}, "dna": {**CELLS, "screen": "one"},
             "four": {**FOLDER, "channels": 4}, "plain": FOLDER}  # fmt: skip
    config = {"screens": screens, "datasets": given, "panels": {"mine": {"cells": panel}}}
    found = Study(merge(shipped(), config))
    return found.declaration(found.panels["mine_cells"])


def test_figures_paint_channels_by_their_names_unless_told():
    assert nearest({}, ["painted"])["channels"] == dict(
        zip(PAINTING, ["blue", "green", "yellow", "red", "magenta"], strict=True)
    )
    assert nearest({}, ["dna"])["channels"] == {"DNA": "grey"}
    assert len(nearest({}, ["four"])["channels"]) == 4
    assert "channels" not in nearest({}, ["plain"])
    told = {"channels": dict.fromkeys(PAINTING, "cyan")}
    assert nearest(told, ["painted"])["channels"] == told["channels"]
    with pytest.raises(UserError, match="its datasets have different channels"):
        nearest({}, ["painted", "dna"])
