"""How many channels a network is shown, and what is refused of them before anything runs."""

from __future__ import annotations

import pytest

from phenoviews.errors import UserError
from phenoviews.study import Run, Study, composites
from phenoviews.study.colours import PAINTS
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


def looked_at(**datasets: dict) -> dict[str, dict]:
    """{data set: what looks at its images are told}, of those given and of screens of five channels and one."""
    made = study(four={**FOLDER, "channels": 4}, plain=FOLDER, **datasets)
    return {
        name: {"paints": composites.paints(made, name), "seen": composites.composites(made, name)}
        for name in ("painted", "dna", "four", "plain", "mnist", "cells_taxol", *datasets)
    }


def test_measures_made_for_rgb_see_rgb_as_it_is_and_of_others_each_channel_as_a_grey_image():
    found = {
        name: one["seen"] for name, one in looked_at(told={**FOLDER, "channels": ["Red", "Green", "Blue"]}).items()
    }
    rgb = [[(1, 0, 0), (0, 1, 0), (0, 0, 1)]]
    assert found["plain"] == found["mnist"] == found["told"] == rgb
    grey, unseen = (1, 1, 1), (0, 0, 0)
    assert found["dna"] == [[grey]]
    assert found["painted"] == [[grey if other == one else unseen for other in range(5)] for one in range(5)]
    # Three stains are no red, green and blue, whatever their order is.
    assert found["cells_taxol"] == [[grey if other == one else unseen for other in range(3)] for one in range(3)]


def test_a_data_set_chooses_its_channels_and_maps_them_wherever_they_are_shown():
    """By their names, in whatever order; what is not named is not shown."""
    chosen = {"mitochondria": "red", "DNA": "cyan"}
    found = looked_at(
        told={**CELLS, "screen": "five", "colours": chosen},
        counted={**FOLDER, "channels": 4, "colours": {"channel 4": "grey"}},
        some={**FOLDER, "colours": {"green": "grey"}},
    )  # fmt: skip
    assert found["told"]["paints"] == {
        "DNA": "cyan", "ER": "none", "RNA": "none", "AGP": "none", "mitochondria": "red",
    }  # fmt: skip
    assert found["told"]["seen"] == [[(0, 1, 1), (0, 0, 0), (0, 0, 0), (0, 0, 0), PAINTS["red"]]]
    assert found["counted"]["seen"] == [[(0, 0, 0), (0, 0, 0), (0, 0, 0), (1, 1, 1)]]
    assert found["some"]["paints"] == {"red": "none", "green": "grey", "blue": "none"}
    assert "colours" not in study(told={**CELLS, "screen": "five", "colours": chosen}).cells("told")  # no new cells


def test_a_channel_that_there_is_not_is_refused():
    with pytest.raises(UserError, match=r"config: datasets\.told\.colours: no channel 'DAN'; did you mean DNA\?"):
        study(told={**CELLS, "screen": "five", "colours": {"DAN": "blue"}})
    with pytest.raises(UserError, match=r"config: datasets\.told\.colours: no channel is shown"):
        study(told={**CELLS, "screen": "five", "colours": {"DNA": "none"}})


def nearest(made: dict, datasets: list[str], **more: dict) -> dict:
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
    screens = {"five": {**SCREEN, "channels": PAINTING}, "one": {**SCREEN, "channels": {"DNA": "1"}},
               "back": {**SCREEN, "channels": dict(reversed(PAINTING.items()))}}  # fmt: skip
    given = {"painted": {**CELLS, "screen": "five"}, "dna": {**CELLS, "screen": "one"},
             "backwards": {**CELLS, "screen": "back"}, "four": {**FOLDER, "channels": 4}, "plain": FOLDER,
             "stained": {**FOLDER, "channels": ["DNA", "ER", "AGP"]}, **more}  # fmt: skip
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


def test_a_figure_finds_the_channels_that_it_chooses_by_their_names():
    told = {"channels": {"AGP": "red", "DNA": "blue"}}
    found = nearest(told, ["painted"])["channels"]
    assert list(found.items()) == [
        ("DNA", "blue"), ("ER", "none"), ("RNA", "none"), ("AGP", "red"), ("mitochondria", "none"),
    ]  # fmt: skip
    of_data = {"colours": {"ER": "green"}}
    mine = {"mine": {**CELLS, "screen": "five", **of_data}}
    assert nearest({}, ["mine"], **mine)["channels"]["DNA"] == "none"
    assert nearest(told, ["mine"], **mine)["channels"] == found  # the figure's own word counts for more
    with pytest.raises(UserError, match=r"panels\.mine\.cells\.channels: no channel 'Hoechst'; there are: AGP, DNA"):
        nearest({"channels": {"Hoechst": "blue"}}, ["painted"])


@pytest.mark.parametrize("datasets", [["painted", "dna"], ["plain", "stained"], ["painted", "backwards"]])
def test_a_figure_of_data_with_different_channels_is_refused(datasets):
    with pytest.raises(UserError, match=r"panels\.mine\.cells: its datasets have different channels or colours"):
        nearest({}, datasets)


def test_nuclei_are_in_a_channel_that_the_screen_has():
    def told(channel):
        screen = {**SCREEN, "channels": {"tubulin": "1", "DNA": "2"}, "nuclei": {"channel": channel}}
        return Study(merge(shipped(), {"screens": {"lab": screen}}))

    assert told("DNA").screen("lab", "nuclei")["nuclei"]["channel"] == "DNA"
    with pytest.raises(UserError, match=r"screens\.lab\.nuclei\.channel: no channel 'DAPI'; there are: DNA, tubulin"):
        told("DAPI")
