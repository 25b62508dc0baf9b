from __future__ import annotations

import math
import re
import shutil
import subprocess

import pandas as pd
import pytest
from tests.panels.conftest import NONE, as_records, declared, grid, printed, record, run

from phenoviews.errors import UserError
from phenoviews.panels.records import changes
from phenoviews.panels.records import published as as_published
from phenoviews.panels.table import OPTIONAL, Layout, latex, layout, long, markdown, why_missing, write
from phenoviews.study.metrics import AXES

NOTHING = as_published([])


def of_runs(each: list[dict], metric: str, values) -> pd.DataFrame:
    lines = [{**run, "metric": metric, "value": value} for run, value in zip(each, values, strict=True)]
    return as_records([{**line, "source": "x.parquet"} for line in lines])


def test_long_cell_by_cell(records, panel, published):
    table = long(records, panel, published).set_index(["transform", "metric"])
    assert list(table.index) == [(t, m) for t in ("one", "two") for m in ("ami", "top1", "lpips")]
    one = table.loc[("one", "ami")]
    assert one["mean"] == pytest.approx(0.75)
    assert one["sd"] == pytest.approx(0.1 / math.sqrt(2))
    assert one["n"] == 2
    assert one["published"] == 0.83
    assert one["published_n"] == 5
    assert one["difference"] == pytest.approx(-0.08)
    assert one["seeds"] == "5 6"
    assert one["sources"] == "digits/one/moco/vgg11/seed5/ami.parquet digits/one/moco/vgg11/seed6/ami.parquet"
    assert (one["dataset"], one["scale"], one["note"]) == ("digits", "demo", "Demo scale: digits in place of MNIST.")
    single = table.loc[("two", "ami")]
    assert (single["mean"], single["n"]) == (0.31, 1)
    assert math.isnan(single["sd"])
    unpublished = table.loc[("one", "top1")]
    assert (unpublished["mean"], unpublished["unit"]) == (98, "%")
    assert math.isnan(unpublished["published"])
    assert math.isnan(unpublished["difference"])
    unmeasured = table.loc[("one", "lpips")]
    assert (unmeasured["n"], unmeasured["reason"], unmeasured["published"]) == (0, "no weights", 0.33)
    assert math.isnan(unmeasured["mean"])
    assert table.loc[("two", "lpips"), "reason"] == "no runs"


def test_some_runs_without_a_number_are_told_and_not_averaged(panel, published):
    why = ["collapsed in epoch 7, spread 1e-4", "collapsed in epoch 12, spread 9e-5", "not measured"]
    lines = [record("one", 5, "ami", 0.5), record("one", 6, "ami", 0.7)]
    lines += [record("one", 7 + number, "ami", NONE, reason) for number, reason in enumerate(why)]
    panel |= {"each": grid(seeds=range(5, 10)), "metrics": panel["metrics"][:1]}
    table = long(as_records(lines), panel, published)
    cell = table.iloc[0]
    assert (cell["mean"], cell["n"], cell["asked"], cell["seeds"]) == (pytest.approx(0.6), 2, 5, "5 6")
    assert cell["reason"] == "2 of 5 seeds; 2 collapsed; 1 not measured"
    assert cell["missing"] == f"7: {why[0]}; 8: {why[1]}; 9: {why[2]}"
    view = layout(table, panel)
    assert view.body[0][1][0] == ("0.60 ± 0.14 (2)", "a")
    assert view.footnotes["a"] == cell["reason"]


def test_reasons_are_counted_by_kind():
    assert why_missing([], 5) == ""
    assert why_missing(["no weights"] * 5, 5) == "no weights"
    assert why_missing(["collapsed in epoch 7, spread 1e-4"], 1) == "collapsed in epoch 7, spread 1e-4"
    epochs = [f"collapsed in epoch {epoch}, spread 1e-4" for epoch in (3, 14)]
    assert why_missing(epochs, 5) == "3 of 5 seeds; 2 collapsed"
    assert why_missing(epochs, 2) == "0 of 2 seeds; 2 collapsed"
    assert why_missing([*epochs, "no encoder"], 3) == "0 of 3 seeds; 2 collapsed; 1 no encoder"


def test_a_little_below_zero_is_printed_as_zero(records, panel, published):
    records.loc[records["transform"] == "two", "value"] = -0.001
    assert layout(long(records, panel, published), panel).body[1][1][0] == ("0.00 (1)", "")


def test_without_stand_ins_the_published_values_of_another_dataset_do_not_match(records, panel, published):
    panel["scale"]["stand_ins"] = {}
    assert long(records, panel, published)["published"].isna().all()


def test_a_value_published_twice_is_refused(records, panel, published):
    with pytest.raises(UserError, match="2 lines for digits/one/moco/vgg11/ami"):
        long(records, panel, pd.concat([published, published.iloc[:1]]))


def test_layout_cell_by_cell(records, panel, published):
    view = layout(long(records, panel, published), panel)
    assert view.stub == ["Transform"]
    assert view.heads == [
        ("AMI", ["demo", "published"]),
        ("Top-1 (%)", ["demo"]),  # the paper prints none of it
        ("LPIPS", ["demo", "published"]),
    ]
    assert view.body == [
        (["First & best"], [("0.75 ± 0.07 (2)", ""), ("0.83", ""), ("98.0 ± 1.4 (2)", ""), ("—", "a"), ("0.33", "")]),
        (["two"], [("0.31 (1)", ""), ("0.37", ""), ("61.2 (1)", ""), ("—", "b"), ("—", "c")]),
    ]
    assert view.footnotes == {"a": "no weights", "b": "no runs", "c": "not in the paper"}
    assert view.note == "Demo scale: digits in place of MNIST."
    assert view.caption == (
        "What is kept (dataset: digits; method: MoCo v2+; backbone: VGG11). Mean ± sample standard deviation over "
        "n = 1 to 2 runs that differ in their seed, with n in brackets. Published: the value printed in the paper, "
        "mean of 5 runs."
    )


def test_any_key_can_go_down_or_across(panel, published):
    each = grid(method=["byol", "moco"], backbone=["vgg11", "resnet18"], seeds=[5])
    records = of_runs(each, "top1", [0.0, 10.0, 20.0, 30.0])
    panel = declared(each, "top1", rows=["method"], columns=["backbone"], labels=panel["labels"])
    table = long(records, panel, published)
    view = layout(table, panel)
    assert [head for head, _ in view.heads] == ["VGG11", "resnet18"]
    assert view.body == [
        (["byol"], [("0.0 (1)", ""), ("10.0 (1)", "")]),
        (["MoCo v2+"], [("20.0 (1)", ""), ("30.0 (1)", "")]),
    ]
    assert "metric: Top-1 (%)" in view.caption
    assert "One run" in view.caption
    panel |= {"rows": ["backbone", "metric"], "columns": ["method"]}
    assert layout(table, panel).body[1] == (["resnet18", "Top-1 (%)"], [("10.0 (1)", ""), ("30.0 (1)", "")])
    panel |= {"rows": ["method"], "columns": ["metric"]}
    with pytest.raises(UserError, match="2 values of 'backbone', which is in neither"):
        layout(table, panel)


def test_no_runs_at_all_leave_an_empty_table_that_says_so(records, panel, published):
    view = layout(long(records.iloc[:0], panel, published), panel)
    assert "No runs with a number." in view.caption
    assert {text for _, cells in view.body for text, _ in cells[::2]} <= {"—", "0.83", "0.33"} | {"—"}


def test_markdown_has_the_same_columns_in_every_row(records, panel, published):
    lines = markdown(layout(long(records, panel, published), panel)).splitlines()
    assert lines[0].startswith("**Demo scale: digits in place of MNIST.** What is kept")
    rows = [line for line in lines if line.startswith("|")]
    assert [row.count("|") for row in rows] == [7] * 4
    assert rows[0] == "| Transform | AMI, demo | AMI, published | Top-1 (%), demo | LPIPS, demo | LPIPS, published |"
    assert rows[2] == "| First & best | 0.75 ± 0.07 (2) | 0.83 | 98.0 ± 1.4 (2) | —<sup>a</sup> | 0.33 |"
    assert lines[-1] == "<sup>a</sup> no weights<br><sup>b</sup> no runs<br><sup>c</sup> not in the paper"


def test_markdown_and_latex_escape_what_they_would_read(records, panel, published):
    panel["labels"]["one"] = r"a_b & 50% of $x$ #1 {~^\} <i> |*`"
    view = layout(long(records, panel, published), panel)
    assert r"| a\_b & 50% of \$x\$ #1 {~^\\} \<i> \|\*\` |" in markdown(view)
    escaped = (
        r"a\_b \& 50\% of \$x\$ \#1 \{\textasciitilde{}\textasciicircum{}\textbackslash{}\} "
        r"\textless{}i\textgreater{} |*`"
    )
    assert escaped in latex(view)


def test_latex_rows_and_columns_agree(records, panel, published):
    text = latex(layout(long(records, panel, published), panel))
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert [row.replace(r"\&", "").count("&") for row in rows] == [3, 5, 5, 5]
    assert r"\begin{tabular}{lrrrrr}" in text
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-4} \cmidrule(lr){5-6}" in text
    assert r"First \& best & 0.75 $\pm$ 0.07 (2) & 0.83 & 98.0 $\pm$ 1.4 (2) & ---\textsuperscript{a} & 0.33 \\" in text
    assert text.count("{") == text.count("}")
    assert text.isascii()


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
def test_latex_compiles_with_two_packages(records, panel, published, tmp_path):
    panel["labels"]["one"] = r"a_b & 50% of $x$ #1 {~^\} <i> ± µ — ≥ βκλμτω"
    table = latex(layout(long(records, panel, published), panel))
    document = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}" + table + r"\end{document}"
    (tmp_path / "table.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def wide(columns: int) -> Layout:
    """A table with as many columns as that, each of a number that is long and one that is published."""
    names = [["A name of a row that is so long that it has to be wrapped", "random_resized_crop=off"]] * 3
    heads = [(f"Head {number}", ["demo", "published"]) for number in range(columns)]
    body = [
        (of, [(f"{number}.5 ± 0.25 (3)", "a" if number % 2 else "") for number in range(2 * columns)]) for of in names
    ]
    return Layout("", "A caption.", ["Transform", "Setting"], heads, body, {"a": "why"}, [[0] * 2 * columns] * 3)


def test_a_wide_table_goes_on_below():
    """Its columns are all there once, in their order, and the names of the rows stand again before those below."""
    text = latex(wide(14))
    assert text.count(r"\begin{tabular}") == text.count("Transform & Setting") > 1
    assert re.findall(r"\{c\}\{(Head \d+)\}", text) == [f"Head {number}" for number in range(14)]
    assert [int(number) for number in re.findall(r"(\d+)\.5 \$", text)] == [
        number
        for part in re.findall(r"toprule\n(.*?)\\\\\n", text)
        for _ in range(3)
        for head in re.findall(r"Head (\d+)", part)
        for number in (2 * int(head), 2 * int(head) + 1)
    ]
    assert latex(wide(1)).count(r"\begin{tabular}") == 1


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no pdflatex")
def test_no_table_is_wider_than_the_page(tmp_path):
    tables = "".join(latex(wide(columns)) + r"\clearpage " for columns in (1, 2, 3, 5, 14, 40))
    document = r"\documentclass{article}\usepackage{booktabs,graphicx}\begin{document}" + tables + r"\end{document}"
    (tmp_path / "table.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout


def test_at_paper_scale_nothing_is_called_demo(records, panel, published):
    panel["scale"] = {"name": "paper", "note": "", "stand_ins": {"mnist": "digits"}}
    table = long(records, panel, published)
    view = layout(table, panel)
    assert view.heads[0] == ("AMI", ["reproduced", "published"])
    assert set(table["scale"]) == {"paper"}
    for text in (markdown(view), latex(view)):
        assert "demo" not in text.lower()
        assert "**" not in text
        assert r"\textbf" not in text


def test_the_csv_reads_back_as_it_was(records, panel, published, tmp_path):
    table = long(records, panel, published)
    files = [tmp_path / f"table.{kind}" for kind in ("csv", "md", "tex")]
    write(table, layout(table, panel), *files, below="Claims\n")
    numbers = {key: [""] for key in ("mean", "sd", "published", "published_n", "difference")}
    back = pd.read_csv(files[0], keep_default_na=False, na_values=numbers)
    pd.testing.assert_frame_equal(back, table.drop(columns=[key for key in OPTIONAL if key != "missing"]))
    assert not table.duplicated([*AXES, "metric"]).any()
    assert files[1].read_text().endswith("\n\nClaims\n")
    assert files[2].read_text().startswith("% Needs")


# ------------------------------------------------------------------------------------------------------- several grids
CELLS = ["cells_nocodazole", "cells_cytochalasin_b", "cells_taxol"]


def table2(datasets=CELLS, frozen="imagenet") -> tuple[dict, pd.DataFrame]:
    """Table 2 as it is declared: the trained grid and the pretrained one; every run's AMI is its number in the list."""
    each = grid(datasets, ["cell_first", "cell_second", "dual"], ["moco", "byol", "vicreg"], ["vgg13", "resnet18"])
    each += grid(datasets, ["plain"], [frozen], ["vgg16", "resnet101"], seeds=[5])
    rows = ["transform", "method", "backbone"]
    panel = declared(each, "ami", name="no_free_lunch_table2", rows=rows, columns=["dataset"])
    return panel, of_runs(each, "ami", [i / 100 for i in range(len(each))])


def test_several_grids_are_one_table_of_the_rows_that_occur(root):
    panel, records = table2()
    view = layout(long(records, panel, printed(panel["name"])), panel)
    assert [head for head, _ in view.heads] == CELLS
    assert len(view.body) == 20
    names = [row for row, _ in view.body]
    assert names[0] == ["cell_first", "moco", "vgg13"]
    assert names[3] == ["cell_first", "byol", "resnet18"]
    assert names[17:] == [
        ["dual", "vicreg", "resnet18"],
        ["plain", "imagenet", "vgg16"],
        ["plain", "imagenet", "resnet101"],
    ]
    # Two seeds of the first cell, runs 0 and 1; the published value of Nocodazole is 0.19.
    assert view.body[0][1][:2] == [("0.01 ± 0.01 (2)", ""), ("0.19", "")]
    assert [text for text, _ in view.body[19][1][1::2]] == ["0.39", "0.57", "0.43"]
    assert all(text for _, cells in view.body for text, _ in cells)


def test_what_is_said_of_a_published_value_is_its_footnote(root):
    panel, records = table2()
    view = layout(long(records, panel, printed(panel["name"])), panel)
    assert view.footnotes == {
        "a": "backbone not printed; inferred from D.4 and figures 6 and 7",
        "b": "backbone as stated in D.4",
    }
    assert {mark for _, mark in view.body[18][1][1::2]} == {"a"}
    assert {mark for _, mark in view.body[18][1][::2]} == {""}


def test_published_values_follow_the_stand_ins_of_every_axis(root):
    used = ["simulated_nocodazole", "simulated_cytochalasin_b", "simulated_taxol"]
    panel, records = table2(used, frozen="untrained")
    panel["scale"]["stand_ins"] = {**dict(zip(CELLS, used, strict=True)), "imagenet": "untrained"}
    table = long(records, panel, printed(panel["name"]))
    assert table["published"].notna().all()
    assert len(table) == 60
    line = table.set_index(["dataset", "method", "backbone"]).loc[("simulated_taxol", "untrained", "resnet101")]
    assert line["published"] == 0.43


def test_a_row_and_a_column_without_a_run_in_common_leave_a_blank(panel, published):
    each = grid(transform=["one", "two"], seeds=[5]) + grid(dataset=["cifar"], transform=["two"], seeds=[5])
    more = {"labels": panel["labels"], "scale": panel["scale"]}
    panel = declared(each, "ami", columns=["dataset"], **more)
    view = layout(long(of_runs(each, "ami", [0.1, 0.2, 0.3]), panel, published), panel)
    assert view.body == [
        (["First & best"], [("0.10 (1)", ""), ("0.83", ""), ("", "")]),
        (["two"], [("0.20 (1)", ""), ("0.37", ""), ("0.30 (1)", "")]),
    ]
    for text in (markdown(view), latex(view)):
        assert "First" in text


# ------------------------------------------------------------------------------------------------------------- ablation
def test_an_ablation_shows_each_change_paired_by_seed(panel, published):
    each = grid(transform=["one", "one+hue=off"])
    # The values of the base differ widely between seeds, the change does not.
    records = of_runs(each, "ami", [0.2, 0.8, 0.31, 0.89])
    panel = declared(each, "ami", "ami_change", labels=panel["labels"])
    table = long(pd.concat([records, changes(records, "transform")], ignore_index=True), panel, NOTHING)
    view = layout(table, panel)
    assert view.heads == [("AMI", ["reproduced"]), ("Change of AMI", ["reproduced"])]
    assert view.body == [
        (["First & best"], [("0.50 ± 0.42 (2)", ""), ("—", "a")]),
        (["one+hue=off"], [("0.60 ± 0.41 (2)", ""), ("+0.10 ± 0.01 (2)", "")]),
    ]
    assert view.footnotes == {"a": "the changes are counted from here"}


# ------------------------------------------------------------------------------------------------------------- profiles
METRICS = ("nsc", "nscb", "drop")


def profiles(root, seeds=(5,)) -> tuple[dict, pd.DataFrame, pd.DataFrame]:
    """Table 2 of paper B as it is declared, with 95 of 103 and 80 of 92 under every post-processing but TVN's NSCB."""
    each = grid(["treatments"], ["single_cell+random_grayscale=off"], ["ours"], ["resnet50_imagenet"], seeds)
    # The method's name with its overrides has another in its place.
    scale = {"name": "paper", "note": "", "stand_ins": {"simclr+epochs=600+temperature=0.5": "ours"}}
    panel = declared(each, "nsc", "nscb", "drop", name="single_cell_table2", labels={"ours": "Ours"}, scale=scale)
    panel |= {"rows": ["method", "postprocessing"], "columns": ["metric"]}
    values = {"nsc": (92.2, 95, 103, 87.4, 97.1), "nscb": (87.0, 80, 92, 79.3, 93.5), "drop": (5.3, None, None, -1, 11)}
    lines = [
        {**run, "postprocessing": p, "metric": m, "source": "scores.parquet"}
        | dict(zip(["value", "correct", "of", "low", "high"], of, strict=True))
        for run in each
        for p in ("none", "whitening", "tvn")
        for m, of in values.items()
    ]
    known = printed(panel["name"])
    return panel, as_records(lines), known


def test_a_score_of_one_run_has_its_interval_and_counts(root):
    panel, records, known = profiles(root)
    table = long(records, panel, known)
    view = layout(table, panel)
    assert view.stub == ["Method", "Post-processing"]
    names, cells = view.body[-2]
    assert names == ["Ours", "Whitening"]
    assert [text.replace("\n", " ") for text, _ in cells] == [
        *("92.2 [87.4, 97.1], 95/103", "96, 99/103"),
        *("87.0 [79.3, 93.5], 80/92", "95, 87/92"),
        *("5.3 [-1.0, 11.0]", "1"),
    ]
    assert "| 92.2 [87.4, 97.1], 95/103 | 96, 99/103 |" in markdown(view)
    assert r"\shortstack[r]{92.2 \\ {[87.4, 97.1],} \\ {95/103}}" in latex(view)
    assert "in square brackets a 95 % bootstrap interval over treatments" in view.caption
    assert "One treatment of 103 is 0.97 %, one of 92 is 1.1 %." in view.caption
    line = table.set_index(["method", "postprocessing", "metric"]).loc[("ours", "none", "nscb")]
    assert list(line[["correct", "of", "low", "high"]]) == [80, 92, 79.3, 93.5]
    assert list(line[["published", "published_correct", "published_of"]]) == [94, 86, 92]


def test_scores_of_several_runs_are_mean_and_spread_without_counts(root):
    panel, records, known = profiles(root, seeds=(5, 6))
    records.loc[(records["metric"] == "nsc") & (records["seed"] == 6), ["value", "correct"]] = [94.2, 97]
    table = long(records, panel, known)
    view = layout(table, panel)
    assert view.body[-2][1][0][0] == "93.2 ± 1.4 (2)"
    assert "square" not in view.caption
    assert "One treatment of 103 is 0.97 %" in view.caption
    assert table["correct"].isna().all()


def test_what_the_paper_quotes_has_rows_of_its_own_that_say_so(root):
    panel, records, known = profiles(root)
    view = layout(long(records, panel, known), panel)
    names = [names for names, _ in view.body]
    assert names[:6] == [
        ["Ljosa et al. [24], supervised", "as published"],
        ["Singh et al. [27], supervised", "as published"],
        ["Ando et al. [1], supervised", "as published"],
        ["Pawlowski et al. [26], supervised", "as published"],
        ["Caicedo et al. [3], supervised", "as published"],
        ["Janssens et al. [19], unsupervised", "as published"],
    ]
    assert names[6:8] == [[names[6][0], "as published"], [names[6][0], "No post-processing"]]
    assert names[8:] == [["Ours", "No post-processing"], ["Ours", "Whitening"], ["Ours", "TVN"]]
    assert view.footnotes["a"] == "quoted by the paper from cited work"
    assert view.body[1][1] == [("—", "a"), ("90", ""), ("—", "a"), ("85", ""), ("—", "a"), ("—", "b")]
    assert view.footnotes["b"] == "not in the paper"
    with pytest.raises(UserError, match="values of 'method', which is in neither"):
        layout(long(records, panel, known), {**panel, "rows": ["postprocessing"]})


def test_a_post_processing_of_the_whole_table_stands_in_its_caption(root):
    panel, records, known = profiles(root)
    panel |= {"where": {"postprocessing": ["tvn"]}, "rows": ["transform"], "name": "single_cell_table9"}
    view = layout(long(records[records["postprocessing"] == "tvn"], panel, known.iloc[:0]), panel)
    assert "post-processing: TVN" in view.caption
    assert len(view.body) == 1


def test_a_table_without_post_processings_shows_nothing_of_them(records, panel, published, tmp_path):
    files = [tmp_path / f"table.{kind}" for kind in ("csv", "md", "tex")]
    table = long(records, panel, published)
    write(table, layout(table, panel), *files)
    for file in files:
        text = file.read_text()
        assert "processing" not in text
        assert "interval" not in text
        assert "correct" not in text


def test_without_an_encoder_every_post_processing_that_is_shown_has_the_reason(root):
    """What is published stands beside it all the same."""
    panel, _, known = profiles(root, seeds=(5, 6))
    line = {"value": NONE, "reason": "no ImageNet weights", "source": "scores.parquet"}
    none = as_records([{**run, "metric": metric, **line} for run in panel["each"] for metric in METRICS])
    view = layout(long(none, panel, known), panel)
    assert [names for names, _ in view.body[-3:]] == [
        ["Ours", name] for name in ("No post-processing", "Whitening", "TVN")
    ]
    assert [text for text, _ in view.body[-1][1]][:2] == ["—", "97,\n100/103"]
    assert "no ImageNet weights" in view.footnotes.values()
    chosen = layout(long(none, {**panel, "where": {"postprocessing": ["tvn"]}}, known), panel)
    assert [names for names, _ in chosen.body if names[0] == "Ours"] == [["Ours", "TVN"]]
    untold = layout(long(none, {**panel, "rows": ["method"]}, NOTHING), {**panel, "rows": ["method"]})
    assert untold.body == [(["Ours"], [("—", "a")] * 3)]


# ----------------------------------------------------------------------------------------------------------- dimensions
CLASSES = {"cat": (80, 60), "dog": (90, 70), "fox": (40, 50)}  # of two seeds


def by_class(**of_run) -> list[dict]:
    return [
        record(of_run.get("transform", "one"), seed, "accuracy", value + of_run.get("more", 0), **{"class": name})
        for name, found in CLASSES.items()
        for seed, value in zip((5, 6), found, strict=True)
    ]


def pivoted(lines: list[dict], *metrics: str, **more) -> tuple[dict, pd.DataFrame]:
    each = list({tuple(line[key] for key in run()): {key: line[key] for key in run()} for line in lines}.values())
    panel = declared(each, *metrics, **more)
    return panel, long(as_records(lines), panel, NOTHING)


def test_any_dimension_goes_down_or_across():
    panel, table = pivoted(by_class(), "accuracy", rows=["class"], columns=["metric"])
    assert layout(table, panel).body == [
        (["cat"], [("70.0 ± 14.1 (2)", "")]),
        (["dog"], [("80.0 ± 14.1 (2)", "")]),
        (["fox"], [("45.0 ± 7.1 (2)", "")]),
    ]
    assert layout(table, panel).stub == ["Class"]
    panel |= {"rows": ["seed"], "columns": ["class"]}
    view = layout(long(as_records(by_class()), panel, NOTHING), panel)
    assert [head for head, _ in view.heads] == ["cat", "dog", "fox"]
    assert view.body[1] == (["6"], [("60.0 (1)", ""), ("70.0 (1)", ""), ("50.0 (1)", "")])


def test_what_is_chosen_has_the_order_in_which_it_is_named():
    lines = [line for line in by_class() if line["class"] != "cat"]
    panel, table = pivoted(lines, "accuracy", rows=["class"], where={"class": ["fox", "dog"]})
    assert [names for names, _ in layout(table, panel).body] == [["fox"], ["dog"]]


def test_numbers_ascend_with_their_unit_and_decide_what_follows_them():
    lines = [
        record("one", 5, "ami_treated", at / 10, concentration=at, dose=dose)
        for at, dose in ((3.0, 1), (0.3, 3), (1.0, 2))
    ]
    panel, table = pivoted(lines, "ami_treated", rows=["transform"], columns=["concentration"])
    view = layout(table, panel)
    assert [head for head, _ in view.heads] == ["0.3 µM", "1 µM", "3 µM"]
    assert [text for text, _ in view.body[0][1]] == ["0.03 (1)", "0.10 (1)", "0.30 (1)"]
    assert "dose" not in view.caption
    with pytest.raises(UserError, match="3 values of 'concentration', which is in neither `rows`, `columns` nor"):
        layout(table, {**panel, "columns": ["metric"]})
    with pytest.raises(UserError, match="3 values of 'concentration'"):
        layout(table, {**panel, "columns": ["dose"]})


def test_the_mean_over_a_dimension_is_taken_within_each_seed():
    panel, table = pivoted(by_class(), "accuracy", average=["class"])
    cell = table.iloc[0]
    assert (cell["mean"], cell["n"], cell["averaged"]) == (65, 2, 3)  # of 70 and 60
    assert cell["sd"] == pytest.approx(math.sqrt(50))
    assert "class" not in table
    assert "mean over class, 3 values" in layout(table, panel).caption


def test_a_seed_that_lacks_one_of_them_has_no_mean():
    lines = by_class()
    lines[0] |= {"value": NONE, "reason": "no test image is of it"}
    _, table = pivoted(lines, "accuracy", average=["class"])
    cell = table.iloc[0]
    assert (cell["mean"], cell["n"], cell["seeds"]) == (60, 1, "6")
    assert cell["reason"] == "1 of 2 seeds; 1 no test image is of it"
    _, table = pivoted(by_class()[1:], "accuracy", average=["class"])
    assert table.iloc[0]["reason"] == "1 of 2 seeds; 1 lacks 1 of 3 values to average over"


def test_runs_are_averaged_over_as_classes_are():
    lines = by_class() + by_class(transform="two", more=10)
    panel, table = pivoted(lines, "accuracy", rows=["class"], columns=["metric"], average=["transform"])
    assert [text for _, [(text, _)] in layout(table, panel).body] == [
        "75.0 ± 14.1 (2)",
        "85.0 ± 14.1 (2)",
        "50.0 ± 7.1 (2)",
    ]
    assert "mean over transform, 2 values" in layout(table, panel).caption
    # A training that collapsed has none of the classes.
    collapsed = [*by_class(), record("two", 5, "accuracy", NONE, "collapsed"), *by_class(transform="two")[1::2]]
    panel, table = pivoted(collapsed, "accuracy", average=["class", "transform"])
    assert (table.iloc[0]["mean"], table.iloc[0]["reason"]) == (60, "1 of 2 seeds; 1 collapsed")


def test_a_run_that_failed_stands_in_every_place_of_the_others():
    lines = [*by_class(), record("two", 5, "accuracy", NONE, "collapsed"), record("two", 5, "top1", 70)]
    lines += [
        record("two", 5, "ami", 0.5, dataset="cifar"),
        record("two", 5, "accuracy", 5, dataset="cifar", **{"class": "car"}),
    ]
    panel, table = pivoted(lines, "accuracy", rows=["dataset", "transform"], columns=["class"])
    assert layout(table, panel).body[1] == (["digits", "two"], [("—", "a")] * 3 + [("", "")])
    assert layout(table, panel).footnotes == {"a": "collapsed"}


def test_a_metric_without_a_dimension_is_of_all_of_it():
    lines = [*by_class(), *(record("one", seed, "top1", 70) for seed in (5, 6))]
    panel, table = pivoted(lines, "top1", "accuracy", rows=["class"], columns=["metric"])
    assert layout(table, panel).body[:2] == [
        (["all"], [("70.0 ± 0.0 (2)", ""), ("", "")]),
        (["cat"], [("", ""), ("70.0 ± 14.1 (2)", "")]),
    ]


def test_a_sweep_is_laid_out_by_its_setting_and_number():
    names = {"cifar+hue=0.25": 0.6, "cifar+hue=0": 0.5, "cifar+p=0.1": 0.7, "cifar": 0.9}
    lines = [record(name, 5, "ami", value) for name, value in names.items()]
    panel, table = pivoted(lines, "ami", rows=["swept"], columns=["at"])
    view = layout(table, panel)
    assert view.stub == ["Setting"]
    assert [head for head, _ in view.heads] == ["unchanged", "0", "0.1", "0.25"]
    assert view.body[1] == (["hue"], [("", ""), ("0.50 (1)", ""), ("", ""), ("0.60 (1)", "")])
    assert "transform: cifar" in view.caption
    with pytest.raises(UserError, match="2 values of 'swept'"):
        layout(table, {**panel, "rows": ["metric"]})
    other, table = pivoted([*lines, record("mnist+hue=0", 5, "ami", 0.1)], "ami", rows=["swept"], columns=["at"])
    with pytest.raises(UserError, match="2 values of 'transform'"):
        layout(table, other)
    panel, table = pivoted(lines, "ami")
    assert not {"swept", "at"} & set(table)


def test_published_values_are_found_in_their_dimensions():
    lines = by_class()
    columns = {
        **{key: lines[0][key] for key in AXES},
        "metric": "accuracy",
        "quoted": "",
        "unit": "percent",
        "note": "",
    }
    columns |= dict.fromkeys(["n_seeds", "decimals", "correct", "of"], NONE)
    known = pd.DataFrame([{**columns, "class": "dog", "value": 81}, {**columns, "class": "bee", "value": 1}])
    panel = declared(grid(), "accuracy", rows=["class"])
    table = long(as_records(lines), panel, known).set_index("class")
    assert table["published"].dropna().to_dict() == {"dog": 81}
    # A number that is published of no class is not that of each.
    assert long(as_records(lines), panel, known.assign(**{"class": ""}))["published"].isna().all()
    # Of the mean over classes it is; those of single classes are not.
    mean = {**panel, "rows": ["transform"], "average": ["class"]}
    both = pd.concat([known, known.iloc[:1].assign(**{"class": "", "value": 60})])
    assert long(as_records(lines), mean, both)["published"].tolist() == [60]
    # What the file does not tell, such as the number of clusters, it does not contradict.
    ami = [record("one", seed, "ami", 0.5, k=10) for seed in (5, 6)]
    known = pd.DataFrame([{**columns, "metric": "ami", "value": 0.6}])
    table = long(as_records(ami), declared(grid(), "ami"), known)
    assert table["published"].tolist() == [0.6]
    assert "clusters: 10" in layout(table, declared(grid(), "ami")).caption
    doses = [record("one", seed, "ami_treated", 0.5, concentration=at) for seed in (5, 6) for at in (0.3, 1.0)]
    known = pd.DataFrame([{**columns, "metric": "ami_treated", "concentration": "0.3", "value": 0.6}])
    panel = declared(grid(), "ami_treated", columns=["concentration"])
    assert long(as_records(doses), panel, known)["published"].to_list() == [0.6, pytest.approx(NONE, nan_ok=True)]
