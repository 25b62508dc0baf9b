from __future__ import annotations

import math
import shutil
import subprocess

import pandas as pd
import pytest
from tests.panels.conftest import record

from phenoviews.errors import UserError
from phenoviews.panels.table import KEYS, latex, layout, long, markdown, write


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
    assert one["sources"] == "digits/one/moco/vgg11/seed5/ami.json digits/one/moco/vgg11/seed6/ami.json"
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


def test_some_runs_without_a_number_are_told_and_not_averaged(records, panel, published):
    more = [record("two", 6, "ami", float("nan"), "collapsed")]
    both = pd.concat([records, pd.DataFrame(more, columns=records.columns)])
    cell = long(both, panel, published).set_index(["transform", "metric"]).loc[("two", "ami")]
    assert (cell["mean"], cell["n"], cell["reason"], cell["seeds"]) == (0.31, 1, "collapsed", "5")


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
    grid = [(m, b) for m in ("byol", "moco") for b in ("vgg11", "resnet18")]
    lines = [record("one", 5, "top1", 10.0 * i, method=m, backbone=b) for i, (m, b) in enumerate(grid)]
    records = pd.DataFrame(
        lines, columns=["dataset", "transform", "method", "backbone", "seed", "metric", "value", "reason", "source"]
    )
    panel["runs"] = {
        "dataset": ["digits"],
        "transform": ["one"],
        "method": ["byol", "moco"],
        "backbone": ["vgg11", "resnet18"],
    }
    panel["metrics"] = panel["metrics"][1:2]
    panel |= {"rows": ["method"], "columns": ["backbone"]}
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
    assert r"| a\_b & 50% of $x$ #1 {~^\\} \<i> \|\*\` |" in markdown(view)
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
def test_latex_compiles_with_booktabs_alone(records, panel, published, tmp_path):
    panel["labels"]["one"] = r"a_b & 50% of $x$ #1 {~^\} <i> ± µ — ≥"
    table = latex(layout(long(records, panel, published), panel))
    document = r"\documentclass{article}\usepackage{booktabs}\begin{document}" + table + r"\end{document}"
    (tmp_path / "table.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


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
    write(table, panel, *files, below="Claims\n")
    back = pd.read_csv(
        files[0],
        keep_default_na=False,
        na_values={key: [""] for key in ("mean", "sd", "published", "published_n", "difference")},
    )
    pd.testing.assert_frame_equal(back, table)
    assert not table.duplicated(KEYS).any()
    assert files[1].read_text().endswith("\n\nClaims\n")
    assert files[2].read_text().startswith("% Needs")
