"""The command that looks before it leaps, on a folder that it is shown for the first time."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import yaml
from tests.cells.drawn import apart, field

from phenoviews.screen.__main__ import main


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """(the folder to work in, its config) of two plates with three wells of two sites; plate B has no controls."""
    channels = {"DNA": "w1", "tubulin": "w2", "actin": "w3"}
    for plate, wells in (("A", ("B02", "B03", "B04")), ("B", ("B03", "B04"))):
        for well in wells:
            for site in (1, 2):
                dna = np.rint(field(apart(9, 30, (200, 260), seed=site), 30, (200, 260))).astype(np.uint16)
                for name in channels.values():
                    path = tmp_path / "images" / plate / f"{well}_s{site}_{name}.tif"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    tifffile.imwrite(path, dna)
    (tmp_path / "images/A/B04_s2_w3.tif").unlink()
    (tmp_path / "map.csv").write_text("well,compound,dose (nM)\nB02,DMSO,0\nB03,taxol,100\nB04,taxol,300\n")
    screen = {
        "kind": "pattern",
        "path": "images",
        "pattern": "{plate}/{well}_s{site}_{channel}.tif",
        "channels": channels,
        "platemap": "map.csv",
        "nuclei": {"diameter": 32},
    }
    datasets = {"a": {"kind": "cells", "screen": "lab", "plates": ["A"], "compound": "taxol"}}
    monkeypatch.chdir(tmp_path)
    return tmp_path, {"screens": {"lab": screen}, "datasets": datasets}


def check(folder, config, *more) -> None:
    (folder / "lab.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    main(["check", "lab.yaml", *more])


def test_what_is_found(lab, capsys):
    folder, config = lab
    check(folder, config)
    said = capsys.readouterr().out
    assert "screens.lab: 10 fields in 5 wells of 2 plates; channels DNA, tubulin, actin" in said
    lines = [line.split() for line in said.splitlines()]
    assert ["A", "3", "6", "2", "1", "1", "1", "of", "actin"] in lines
    assert ["B", "2", "4", "2", "0", "1", "none"] in lines
    assert "control: DMSO, 1 wells" in said
    assert "taxol: 0.1, 0.3 µM; 4 wells" in said
    assert "missing: plate B has no wells of the control" in said
    assert "field A B02 2: 260 x 200 pixels of 16 bits" in said
    assert "nuclei: 9 in DNA at the declared diameter of 32 pixels, whose median is 3" in said
    assert "which the declared one suits" in said
    assert (folder / "results/screens/lab/check.png").stat().st_size > 10_000


def test_nuclei_in_another_channel_than_the_first(lab, capsys):
    folder, config = lab
    screen = config["screens"]["lab"]
    screen["channels"] = dict(reversed(screen["channels"].items()))
    check(folder, config)
    assert "nuclei: 9 in DNA" not in capsys.readouterr().out
    screen["nuclei"]["channel"] = "DNA"
    check(folder, config)
    assert "nuclei: 9 in DNA at the declared diameter of 32 pixels" in capsys.readouterr().out


def test_a_screen_is_checked_with_its_audit_which_needs_to_know_how_many_cells_to_expect(lab, capsys):
    folder, config = lab
    config["datasets"] = {"mine": {"kind": "treatments", "screen": "lab", "plates": ["A", "B"], "recipe": "treatments"}}
    audit = {"dataset": "mine", "start": "any_channels", "method": "simclr", "backbone": "resnet18"}
    config["panels"] = {"mine": {"audit": {**audit, "budget_gpu_hours": 6, "shortest": 0.125}}}
    check(folder, config)
    # 10 fields of 9 nuclei, of which nothing is held out.
    assert "datasets.mine: about 90 cells to train with, were all fields like this; say `images: 90`" in (
        capsys.readouterr().out
    )
    config["datasets"]["mine"]["images"] = 2000
    check(folder, config)
    assert "say `images" not in capsys.readouterr().out


def test_what_data_sets_ask_for_and_is_not_there(lab, capsys):
    folder, config = lab
    wrong = {"b": {"plates": ["a"]}, "c": {"compound": "Taxol"}}
    config["datasets"] |= {name: config["datasets"]["a"] | change for name, change in wrong.items()}
    config["datasets"]["d"] = {"kind": "treatments", "screen": "lab", "plates": ["A"]}
    check(folder, config)
    said = capsys.readouterr().out
    assert "missing: datasets.b.plates: no plate 'a': there are A, B" in said
    assert (
        "missing: datasets.c.compound: no 'Taxol' on its plates: there are taxol, DMSO; did you mean 'taxol'?" in said
    )
    assert "missing: datasets.d: no compound of its plates has a mechanism" in said
    assert "missing: datasets.a" not in said


@pytest.mark.parametrize("diameter", [8, 90])
def test_another_diameter_is_suggested(lab, capsys, diameter):
    folder, config = lab
    config["screens"]["lab"]["nuclei"]["diameter"] = diameter
    check(folder, config)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("suggested")]
    assert 27 <= int(line.split()[2]) <= 33
    assert "set `nuclei: {diameter: " in line


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"path": "nowhere"}, "nowhere: no such folder"),
        ({"pattern": "{plate}/{well}_f{site}_{channel}.tif"}, "then '_f' is wanted and '_s1_w1.tif' is there"),
        ({"nuclei": {"diameter": 1}}, "config: screens.lab.nuclei.diameter: 1 is less than the minimum of 4"),
        ({"controll": "x"}, "config: screens.lab: unknown key 'controll'; did you mean control"),
    ],
)
def test_what_is_wrong_is_one_line(lab, capsys, change, said):
    folder, config = lab
    config["screens"]["lab"] |= change
    with pytest.raises(SystemExit):
        check(folder, config)
    captured = capsys.readouterr()
    assert said in captured.err
    assert "Traceback" not in captured.err


def test_a_file_without_screens(lab, capsys):
    with pytest.raises(SystemExit):
        check(lab[0], {"seeds": [5]})
    assert "lab.yaml: has no `screens`" in capsys.readouterr().err
