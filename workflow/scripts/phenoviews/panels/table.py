"""Tables of a paper: one generic pivot over records, with the published value beside every number.

A panel declares its layout (`Study.declaration` makes it of config.yaml):

    name: no_free_lunch_table1
    title: what the table shows
    each: [{dataset: ..., transform: ..., method: ..., backbone: ..., seed: ...}, ...]     every run
    runs: {dataset: [...], transform: [...], method: [...], backbone: [...]}     the names, in printed order
    metrics: [{name: ami, label: AMI, unit: "", digits: 2, signed: false}, ...]
    rows: [transform]            keys that go down
    columns: [metric]            keys that go across; "metric" is a key like the others
    postprocessings: [none, tvn]                optional: those of profiles; then "postprocessing" is a key as well
    labels: {mnist_first: First set, ...}                        the printed form of names; default: the name
    scale: {name: demo, note: what a reader has to know of it, stand_ins: {mnist: digits, imagenet: untrained}}

The runs may be several grids (trained encoders, pretrained ones): a table has the rows and the columns that occur among
its runs, and leaves blank where a row and a column have no run in common. Keys in neither rows nor columns have one
value each, which the caption names. `stand_ins` tells which name of a dataset, transform, method or backbone is used in
the place of a published one. What a paper quotes from others stands in rows of its own, above ours.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.files import write_text
from phenoviews.panels.records import COUNTED
from phenoviews.study.names import stand_in

GRID = ["dataset", "transform", "method", "backbone"]
NAMED = [*GRID, "postprocessing"]  # what has names; metrics have metrics
KEYS = [*NAMED, "metric"]
POSTPROCESSINGS = {"none": "No post-processing", "whitening": "Whitening", "tvn": "TVN"}
PUBLISHED = {"n": "n_seeds", "decimals": "decimals", "correct": "correct", "of": "of"}
# What a table without the axis postprocessing need not show.
PROFILED = ["postprocessing", *COUNTED, "published_decimals", "published_correct", "published_of"]
QUOTED = "quoted by the paper from cited work"
EMPTY = "\N{EM DASH}"


def long(records: pd.DataFrame, panel: Mapping[str, Any], published: pd.DataFrame) -> pd.DataFrame:
    """One line per cell (runs that differ in their seed only) and metric, in the declared order, also without numbers.

    Args:
        records: as from `records.read`.
        panel: the declaration above.
        published: as from `records.published`.

    Returns:
        `KEYS`, unit, mean, sd (sample standard deviation; NaN for one run), n (runs with a number),
        published, published_n, published_note, difference (mean - published), scale, note, reason (why a number
        or a run is missing), seeds and sources (both joined by spaces; of the runs with a number). Of scores of
        profiles also correct, low, high (of one run; NaN for several), of (treatments asked), published_correct,
        published_of and published_decimals. Lines of what the paper quotes come first; they have no runs.

    Raises:
        UserError: a value that is published twice.
    """
    scale = panel["scale"]
    used = published.assign(**{key: [stand_in(name, scale["stand_ins"]) for name in published[key]] for key in GRID})
    groups = dict(list(records.groupby(KEYS, sort=False))) if len(records) else {}
    lines = []
    quoted = dict.fromkeys(used.loc[used["quoted"] != "", NAMED].itertuples(index=False, name=None))
    runs = dict.fromkeys(tuple(run[key] for key in GRID) for run in panel["each"])
    ours = ((*run, postprocessing) for run in runs for postprocessing in panel.get("postprocessings", [""]))
    for cell, metric in itertools.product([*quoted, *ours], panel["metrics"]):
        keys = (*cell, metric["name"])
        group = groups.get(keys, records.iloc[:0])
        valued = group[group["value"].notna()].sort_values("seed")
        values = valued["value"].to_numpy(float)
        reasons = list(dict.fromkeys(group.loc[group["value"].isna(), "reason"]))
        if group.empty:
            reasons = [QUOTED if cell in quoted else "no runs"]
        match = used[(used[KEYS] == list(keys)).all(axis=1)]
        if len(match) > 1:
            raise UserError(
                f"published values: {len(match)} lines for {'/'.join(filter(None, keys))}; keep one of them"
            )
        known = dict(match.iloc[0]) if len(match) else {}
        mean = values.mean() if len(values) else np.nan
        counted = dict(valued[COUNTED].iloc[0]) if len(valued) == 1 else dict.fromkeys(COUNTED, np.nan)
        asked = valued["of"].unique()
        counted["of"] = asked[0] if len(asked) == 1 else np.nan
        lines.append(
            {
                **dict(zip(KEYS, keys, strict=True)),
                "unit": metric.get("unit", ""),
                "mean": mean,
                "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
                "n": len(values),
                **counted,
                "published": known.get("value", np.nan),
                **{f"published_{key}": known.get(column, np.nan) for key, column in PUBLISHED.items()},
                "published_note": known.get("note", ""),
                "difference": mean - known.get("value", np.nan),
                "scale": scale["name"],
                "note": scale["note"],
                "reason": "; ".join(reasons),
                "seeds": " ".join(map(str, valued["seed"])),
                "sources": " ".join(valued["source"]),
            }
        )
    return pd.DataFrame(lines)


@dataclass(frozen=True)
class Layout:
    """A table as plain text, before Markdown or LaTeX. A cell is a text and a footnote's mark, or ""; its text may be
    in lines, which LaTeX keeps."""

    note: str  # on the scale, or ""
    caption: str
    stub: list[str]  # headings of the columns that name the rows
    heads: list[tuple[str, list[str]]]  # a heading across, and the sub-headings below it
    body: list[tuple[list[str], list[tuple[str, str]]]]  # the names of a row, its cells
    footnotes: dict[str, str]  # mark: reason


def layout(table: pd.DataFrame, panel: Mapping[str, Any]) -> Layout:
    """Pivot the table of `long` as the panel declares it: "mean ± sd (n)" with the published value beside it.

    A cell without a number is a dash with the reason as its footnote, one that the panel has not is blank; one run has
    no sd, and its score of profiles is "score [low, high], k/n". A metric that is `signed` shows its plus.

    Raises:
        UserError: a key has several values but is in neither `rows` nor `columns`.
    """
    rows, columns = list(panel["rows"]), list(panel["columns"])
    metrics = {metric["name"]: metric for metric in panel["metrics"]}
    order = {**panel["runs"], "postprocessing": panel.get("postprocessings", [""]), "metric": list(metrics)}
    fixed = [key for key in KEYS if key not in rows + columns]
    for key in NAMED:  # what is quoted from others has names of its own, and no run
        quoted = [name for name in dict.fromkeys(table[key]) if name not in order[key] and (name or key not in fixed)]
        order[key] = [*quoted, *order[key]]
    for key in fixed:
        if len(order[key]) != 1:
            raise UserError(
                f"panel {panel['name']}: {len(order[key])} values of '{key}', which is in neither `rows` nor "
                "`columns`; put it into one of them"
            )

    def name(key: str) -> str:
        if key in metrics:
            unit = metrics[key].get("unit")
            return metrics[key]["label"] + (f" ({unit})" if unit else "")
        return panel["labels"].get(key, POSTPROCESSINGS.get(key, key))

    def occurring(keys: list[str]) -> list[tuple[str, ...]]:
        found = set(table[keys].itertuples(index=False, name=None))
        return [names for names in itertools.product(*(order[key] for key in keys)) if names in found]

    cells = {tuple(line[key] for key in rows + columns): line for line in table.to_dict("records")}
    down, across = occurring(rows), occurring(columns)
    compared = {tuple(cell[key] for key in columns) for cell in cells.values() if not _missing(cell["published"])}
    marks: dict[str, str] = {}

    def mark(reason: str) -> str:
        return marks.setdefault(reason, letters(len(marks))) if reason else ""

    body = []
    for row in down:
        line = []
        for at in across:
            cell = cells.get((*row, *at))
            if cell is None:
                line += [("", "")] * (2 if at in compared else 1)
                continue
            metric = metrics[cell["metric"]]
            line.append((_number(cell, metric), mark(cell["reason"])))
            if at in compared and _missing(cell["published"]):
                line.append((EMPTY, mark("not in the paper")))
            elif at in compared:
                line.append((_known(cell, metric), mark(cell["published_note"])))
        body.append(([name(key) for key in row], line))

    ours = "reproduced" if panel["scale"]["name"] == "paper" else panel["scale"]["name"]
    where = "; ".join(f"{_heading(key)}: {name(order[key][0])}" for key in fixed if order[key] != [""])
    return Layout(
        note=panel["scale"]["note"],
        caption=f"{panel['title'].rstrip('.')}{f' ({where})' if where else ''}. {_averaged(table)}{_origin(table)}",
        stub=[_heading(key).capitalize() for key in rows],
        heads=[(", ".join(map(name, at)), [ours, "published"] if at in compared else [ours]) for at in across],
        body=body,
        footnotes={mark: reason for reason, mark in marks.items()},
    )


def markdown(view: Layout) -> str:
    """The layout as a GitHub-flavoured Markdown table under its caption."""

    def cell(text: str, mark: str) -> str:
        return plain_markdown(text.replace("\n", " ")) + (f"<sup>{mark}</sup>" if mark else "")

    head = view.stub + [f"{title}, {sub}" for title, subs in view.heads for sub in subs]
    rule = ["---"] * len(view.stub) + ["---:"] * (len(head) - len(view.stub))
    lines = [f"**{plain_markdown(view.note)}** " * bool(view.note) + plain_markdown(view.caption), ""]
    lines += [markdown_row(map(plain_markdown, head)), markdown_row(rule)]
    lines += [
        markdown_row([*map(plain_markdown, names), *(cell(*entry) for entry in cells)]) for names, cells in view.body
    ]
    if view.footnotes:
        lines += [
            "",
            "<br>".join(f"<sup>{mark}</sup> {plain_markdown(reason)}" for mark, reason in view.footnotes.items()),
        ]
    return "\n".join(lines) + "\n"


def latex(view: Layout) -> str:
    """The layout as a `table` float for \\input; the document needs \\usepackage{booktabs}, nothing else."""

    def cell(text: str, mark: str) -> str:
        first, *others = map(_tex, text.split("\n"))
        told = first + (rf"\textsuperscript{{{mark}}}" if mark else "")
        # In braces, as a bracket that begins a line would be read as an option of the break before it.
        lines = r" \\ ".join([told, *(f"{{{other}}}" for other in others)])
        return rf"\shortstack[r]{{{lines}}}" if others else told

    width = len(view.stub)
    top, rules, second = [""] * width, [], [_tex(text) for text in view.stub]
    for title, subs in view.heads:
        top.append(rf"\multicolumn{{{len(subs)}}}{{c}}{{{_tex(title)}}}")
        rules.append(rf"\cmidrule(lr){{{width + 1}-{width + len(subs)}}}")
        width += len(subs)
        second += [_tex(sub.replace("published", "publ.")) for sub in subs]
    # Long names of rows are wrapped, so that the numbers find room on the page.
    wrapped = [max(map(len, names)) > 20 for names in zip(*(names for names, _ in view.body), strict=True)]
    stub = "".join(rf"p{{{0.18 / len(view.stub):.2f}\linewidth}}" if wrap else "l" for wrap in wrapped)

    def named(names: list[str]) -> list[str]:
        return [r"\raggedright " * wrap + _tex(text) for wrap, text in zip(wrapped, names, strict=True)]

    note = rf"\textbf{{{_tex(view.note)}}} " if view.note else ""
    lines = [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"\centering",
        r"\footnotesize" if width < 8 else r"\scriptsize",
        r"\setlength{\tabcolsep}{2.5pt}",
        rf"\caption{{{note}{_tex(view.caption)}}}",
        rf"\begin{{tabular}}{{{stub}{'r' * (width - len(view.stub))}}}",
        r"\toprule",
        _tex_row(top),
        " ".join(rules),
        _tex_row(second),
        r"\midrule",
        *(_tex_row([*named(names), *(cell(*entry) for entry in cells)]) for names, cells in view.body),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if view.footnotes:
        notes = [rf"\textsuperscript{{{mark}}}~{_tex(reason)}." for mark, reason in view.footnotes.items()]
        lines += ["", r"\smallskip", rf"{{\scriptsize {' '.join(notes)}\par}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def write(
    table: pd.DataFrame, panel: Mapping[str, Any], csv: str | Path, md: str | Path, tex: str | Path, below: str = ""
) -> None:
    """Write the table of `long` as CSV, and pivoted as Markdown (with the text `below` it) and LaTeX."""
    view = layout(table, panel)
    write_text(csv, table.drop(columns=[] if "postprocessings" in panel else PROFILED).to_csv(index=False))
    write_text(md, markdown(view) + ("\n" + below if below else ""))
    write_text(tex, latex(view))


def _number(cell: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    if not cell["n"]:
        return EMPTY
    digits, sign = metric["digits"], "+" if metric.get("signed") else ""
    spread = "" if _missing(cell["sd"]) else f" ± {cell['sd']:.{digits}f}"
    form = f"{sign}z.{digits}f"  # z: no -0.00
    known = f" ({cell['n']})" if _missing(cell["low"]) else f"\n[{cell['low']:{form}}, {cell['high']:{form}}]"
    return f"{cell['mean']:{form}}{spread}{known}{_share(cell['correct'], cell['of'])}"


def _known(cell: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    digits = metric["digits"] if _missing(cell["published_decimals"]) else int(cell["published_decimals"])
    return f"{cell['published']:.{digits}f}{_share(cell['published_correct'], cell['published_of'])}"


def _share(correct: float, of: float) -> str:
    return "" if _missing(correct) else f",\n{correct:.0f}/{of:.0f}"


def _heading(key: str) -> str:
    return "post-processing" if key == "postprocessing" else key


def _averaged(table: pd.DataFrame) -> str:
    counts = sorted(set(table["n"]) - {0})
    if not counts:
        return "No runs with a number."
    asked = sorted(set(table["of"].dropna().astype(int)), reverse=True)
    one = ", one ".join(f"of {n} is {100 / n:.2g} %" for n in asked)
    points = f" One treatment {one}." if asked else ""
    bootstrap = "in square brackets a 95 % bootstrap interval over treatments, then how many treatments are right"
    bounded = table["low"].notna().any()
    if counts == [1]:
        counted = "in brackets its number, hence no spread" + ", then how many treatments are right" * bool(asked)
        single = f"One run (seed) per cell, {bootstrap if bounded else counted}."
        return single + points
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    spread = f"Mean ± sample standard deviation over n = {n} runs that differ in their seed, with n in brackets"
    return f"{spread}{f'; of one run {bootstrap}' if bounded else ''}.{points}"


def _origin(table: pd.DataFrame) -> str:
    counts = sorted(set(table["published_n"].dropna().astype(int)))
    if table["published"].isna().all():
        return ""
    over = f", mean of {' or '.join(map(str, counts))} runs" if counts else ""
    counted = ", with the number of right treatments" if table["published_of"].notna().any() else ""
    return f" Published: the value printed in the paper{over}{counted}."


def _missing(value: Any) -> bool:
    return value is None or value != value


def letters(number: int) -> str:
    return string.ascii_lowercase[number] if number < 26 else letters(number // 26 - 1) + letters(number % 26)


def markdown_row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _tex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def plain_markdown(text: str) -> str:
    for character in "\\|*_<`":
        text = text.replace(character, "\\" + character)
    return text


_TEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "°": r"$^\circ$",
    "µ": r"$\mu$",
    "μ": r"$\mu$",
    "τ": r"$\tau$",
    "·": r"$\cdot$",
    "—": "---",
    "\N{EN DASH}": "--",
    **{character: "\\" + character for character in "&%$#_"},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)
