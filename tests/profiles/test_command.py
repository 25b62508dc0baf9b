from __future__ import annotations

import glob
import json
import shlex
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from tests.documents import commands
from tests.profiles.conftest import screen

from phenoviews.profiles.__main__ import main, parser


@pytest.fixture
def table():
    meta, x = screen(d=6, controls=8)
    return meta.drop(columns="Metadata_Control").assign(**{f"f{i}": x[:, i] for i in range(6)})


def run(table, tmp_path, capsys, *options):
    """Lines on stdout and stderr, and the exit status, of the command on `table`."""
    table.to_csv(tmp_path / "profiles.csv", index=False)
    try:
        main([str(tmp_path / "profiles.csv"), *options])
        status = 0
    except SystemExit as error:
        status = error.code
    out, err = capsys.readouterr()
    return out.splitlines(), err.splitlines(), status


def test_the_three_scores_under_the_three_postprocessings_with_counts(table, tmp_path, capsys):
    out, err, status = run(table, tmp_path, capsys)
    assert status == 0
    assert err == []
    assert out[0] == (
        "96 rows in 96 wells, 48 of them controls; 24 treatments, 12 compounds, 4 MoAs, 3 batches; 6 features"
    )
    assert out[2].split() == ["NSC", "NSCB", "Drop"]
    assert [line.split()[0] for line in out[3:6]] == ["none", "whitening", "tvn"]
    assert all(line.count("/24 = ") == 2 for line in out[3:6])


def test_cells_wells_and_renamed_columns_give_the_same_scores(table, tmp_path, capsys):
    expected = run(table, tmp_path, capsys)[0][1:]
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(len(table), 4, 6))
    noise -= noise.mean(axis=1, keepdims=True)
    cells = table.loc[table.index.repeat(4)].reset_index(drop=True)
    cells[[f"f{i}" for i in range(6)]] += noise.reshape(-1, 6)
    cells = cells.rename(columns={"Metadata_Batch": "Metadata_week", "Metadata_MoA": "Metadata_moa"})
    cells = cells.assign(area=1.0).sample(frac=1, random_state=0)
    out, _, status = run(cells, tmp_path, capsys, "--batch", "Metadata_week", "--features", "f*")
    assert status == 0
    assert out[0].startswith("384 rows in 96 wells")
    assert out[1:] == expected


def test_a_table_of_treatments(table, tmp_path, capsys):
    keys = ["Metadata_Compound", "Metadata_Concentration", "Metadata_MoA", "Metadata_Batch"]
    profiles = table.groupby(keys, dropna=False)[[f"f{i}" for i in range(6)]].median().reset_index()
    out, _, status = run(profiles, tmp_path, capsys)
    assert status == 0
    assert out[0].startswith("27 rows, each a profile of its own, 3 of them controls; 24 treatments")
    assert [line.split()[0] for line in out[3:6]] == ["none", "whitening", "tvn"]


def test_the_files_it_writes(table, tmp_path, capsys):
    paths = {name: tmp_path / f"out/{name}" for name in ("all.json", "predictions.csv", "confusion.csv")}
    options = ["--json", paths["all.json"], "--predictions", paths["predictions.csv"], "--confusion",
               paths["confusion.csv"], "--more"]  # fmt: skip
    out, err, status = run(table, tmp_path, capsys, *map(str, options))
    assert (status, err) == (0, [])  # no bar for what takes less than a second
    assert any(line.startswith("whitening  controls  batch") for line in out)
    found = json.loads(paths["all.json"].read_text())
    nsc = found["postprocessing"]["tvn"]["nsc"]
    predictions = pd.read_csv(paths["predictions.csv"])
    part = predictions[(predictions["postprocessing"] == "tvn") & (predictions["score"] == "nsc")]
    assert (part["Correct"].sum(), len(part)) == (nsc["correct"], nsc["of"])
    assert f"{nsc['correct']}/{nsc['of']} = " in next(line for line in out if line.startswith("tvn "))
    counts = pd.read_csv(paths["confusion.csv"])
    part = counts[(counts["postprocessing"] == "tvn") & (counts["score"] == "nsc")]
    assert part["treatments"].sum() == nsc["of"]
    assert part.loc[part["true"] == part["predicted"], "treatments"].sum() == nsc["correct"]
    assert {line["task"] for line in found["precision"]} == {"replicates", "moas", "moas_other_batch"}
    assert len(found["variance_shares"]) == 12


BAD = {
    "no batch column": (lambda t: t.drop(columns="Metadata_Batch"), [], "no column 'Metadata_Batch'"),
    "NaN": (lambda t: t.assign(f1=t["f1"].where(t.index > 2)), [], "3 feature value(s) in 3 of 96 rows are NaN"),
    "two MoAs": (
        lambda t: t.assign(Metadata_MoA=t["Metadata_MoA"].where(t["Metadata_Concentration"] < 2, "moa9")), [],
        "compound 'compound1' has 2 MoAs (moa1, moa9)",
    ),
    "a wrong name": (lambda t: t, ["--moa", "target"], "no column 'target' for the moa; name it with --moa"),
    "regulariser": (lambda t: t, ["--features", "g*"], "no feature columns match g*"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_with_one_line(table, tmp_path, capsys, case):
    spoil, options, message = BAD[case]
    out, err, status = run(spoil(table), tmp_path, capsys, *options)
    assert status == 1
    assert out == []
    assert len(err) == 1
    assert err[0].startswith("phenoviews: error: ")
    assert message in err[0]


def test_one_batch_is_undefined_and_the_rest_is_scored(table, tmp_path, capsys):
    out, _, status = run(table.assign(Metadata_Batch="B0"), tmp_path, capsys)
    assert status == 0
    rows = [line for line in out if line.startswith(("none ", "whitening ", "tvn "))]
    assert all(line.split()[-2:] == ["undefined", "undefined"] and "/24 = " in line for line in rows)
    assert [line for line in out if line.startswith("undefined:")] == [
        "undefined: none NSCB, none Drop, whitening NSCB, whitening Drop, tvn NSCB, tvn Drop: every MoA is seen in one "
        "batch only"
    ]
    out, _, status = run(table.drop(columns="Metadata_Batch"), tmp_path, capsys, "--no-batch", "--more")
    assert status == 0
    assert any("needs the batch" in line for line in out)


def test_options_that_exclude_each_other_are_refused(table, tmp_path, capsys):
    for options in (["--no-batch", "--batch", "Metadata_Plate"], ["--no-control", "--control", "DMSO"]):
        _, err, status = run(table, tmp_path, capsys, *options)
        assert status == 1
        assert err == [f"phenoviews: error: {options[1]} and {options[0]} exclude each other; give one of them"]


def test_of_one_moa_the_scores_tell_nothing_and_that_is_said(table, tmp_path, capsys):
    treated = table["Metadata_MoA"] != ""
    out, _, status = run(table.assign(Metadata_MoA=np.where(treated, "one", "")), tmp_path, capsys)
    assert status == 0
    assert sum("there is one MoA only" in line for line in out) == 1
    assert not any("there is one MoA only" in line for line in run(table, tmp_path, capsys)[0])


def test_a_constant_feature_is_one_line_and_no_obstacle(table, tmp_path, capsys):
    out, _, status = run(table.assign(f6=1.5), tmp_path, capsys)
    assert status == 0
    assert [line for line in out if "constant" in line] == [
        "note: 1 of 7 features are constant (first: f6); they tell nothing, and are kept"
    ]


def test_help_teaches_and_the_module_is_a_command(table, tmp_path, root):
    text = parser().format_help()
    for word in ("Metadata_Plate", "NSCB", "TVN", "--features", "worked examples", "python -m phenoviews.profiles"):
        assert word in text
    table.to_parquet(tmp_path / "profiles.parquet")
    done = subprocess.run(
        [sys.executable, "-m", "phenoviews.profiles", str(tmp_path / "profiles.parquet")],
        cwd=root / "workflow/scripts", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "/24 = " in done.stdout
    assert done.stderr == ""


def examples(text):
    """The commands in a text, without the program, continued lines put together."""
    lines = iter(text.replace("\\\n", " ").splitlines())
    commands = [line.strip() for line in lines if line.strip().startswith("python -m phenoviews.profiles ")]
    return [shlex.split(command)[3:] for command in commands]


def cellprofiler(table, rng):
    """The table as CellProfiler writes it, without treatments: on scales of their own, with numbers and places."""
    features = {
        f"Cells_{i}": 10.0 ** (i - 2) * table[f"f{i % 6}"] + 0.1 * rng.normal(size=len(table)) for i in range(12)
    }
    where = {"ImageNumber": np.arange(len(table)), "Cells_Location_Center_X": rng.uniform(0, 1e3, len(table))}
    return table[["Metadata_Plate", "Metadata_Well"]].assign(**where, **features, Cells_Constant=1.0)


def test_the_worked_examples_of_the_help_run_as_typed(table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table.to_parquet("embeddings.parquet")
    profiles = cellprofiler(table, np.random.default_rng(0))
    first = profiles["Metadata_Plate"] == sorted(set(profiles["Metadata_Plate"]))[0]
    profiles[first].to_csv("plate1.csv", index=False)
    profiles[~first].to_csv("plate2.csv.gz", index=False)
    sheet = table.filter(like="Metadata_").rename(columns=lambda name: name.removeprefix("Metadata_").lower())
    sheet.to_csv("platemap.csv", index=False)
    commands = examples(parser().format_help())
    assert len(commands) == 2
    for command in commands:
        main(command)
    out = capsys.readouterr().out
    assert (
        "2 column(s) number or describe the rows, and are no features: 'ImageNumber', 'Cells_Location_Center_X'" in out
    )
    assert "Cells_Constant" in out
    assert "Among the nearest" in out
    assert len(pd.read_csv("predictions.csv")) == 3 * 48
    precision = pd.read_csv("precision.csv")
    assert set(precision["level"]) == {"treatment", "compound", "moa"}
    assert precision[["map", "p", "q"]].notna().all(axis=None)
    assert len(list((tmp_path / "profiles").iterdir())) == 6


def test_profiles_that_are_written_are_scored_as_they_were(table, tmp_path, capsys):
    out, _, status = run(table, tmp_path, capsys, "--profiles", str(tmp_path / "written"))
    assert status == 0
    for name in ("none", "whitening", "tvn"):
        main([str(tmp_path / f"written/wells_{name}.parquet")])
        again = capsys.readouterr().out.splitlines()
        score = next(line for line in out if line.startswith(name))[11:]
        assert next(line for line in again if line.startswith("none"))[11:] == score
        treatments = pd.read_parquet(tmp_path / f"written/treatments_{name}.parquet")
        assert len(treatments) == 24
        assert len(treatments.columns) == 5 + 6


def test_missing_values_are_dropped_where_that_is_asked_for(table, tmp_path, capsys):
    spoilt = table.assign(f1=table["f1"].where(table.index > 2))
    assert run(spoilt, tmp_path, capsys)[2] == 1
    out, _, status = run(spoilt, tmp_path, capsys, "--select", "drop_na_columns")
    assert status == 0
    assert "; 5 features" in out[0]
    assert "note: drop_na_columns: 1 of 6 features dropped (first: f1)" in out
    plain, _, _ = run(table.drop(columns="f1"), tmp_path, capsys)
    assert out[2:6] == plain[2:6]


def test_a_feature_that_decides_alone_is_noted(table, tmp_path, capsys):
    out, _, _ = run(table.assign(Area=table["f0"] * 1e4), tmp_path, capsys)
    assert any("1 of 7 features vary more than 100 times as much as most (first: Area)" in line for line in out)
    out, _, _ = run(table.assign(Area=table["f0"] * 1e4), tmp_path, capsys, "--normalize", "mad")
    assert not any("100 times" in line for line in out)


def test_the_commands_of_the_documents_run_as_typed(table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plates").mkdir()
    table.rename(columns={"Metadata_Batch": "Metadata_Week"}).to_csv("profiles.csv.gz", index=False)
    profiles = cellprofiler(table, np.random.default_rng(0))
    for number, (_, plate) in enumerate(profiles.groupby("Metadata_Plate")):
        plate.to_csv(f"plates/{number}.csv", index=False)
    sheet = table.filter(like="Metadata_").rename(columns=lambda name: name.removeprefix("Metadata_").lower())
    sheet.to_csv("platemap.csv", index=False)
    typed = [
        shlex.split(line.partition("phenoviews.profiles ")[2]) for page, line in commands() if page == "profiles.md"
    ]
    assert len(typed) == 2
    for words in typed:
        main([name for word in words for name in (sorted(glob.glob(word)) if "*" in word else [word])])
    assert "Among the nearest" in capsys.readouterr().out
