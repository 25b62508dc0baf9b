"""Tables of a paper: one generic pivot over records, with the published value beside every number.

A panel declares its layout (`Study.declaration` makes it of config.yaml):

    name: no_free_lunch_table1
    title: what the table shows
    each: [{dataset: ..., transform: ..., method: ..., backbone: ..., seed: ...}, ...]     every run
    runs: {dataset: [...], transform: [...], method: [...], backbone: [...]}     the names, in printed order
    metrics: [{name: ami, label: AMI, unit: "", digits: 2, signed: false}, ...]
    rows: [transform]            keys that go down
    columns: [metric]            keys that go across; "metric" is a key like the others
    labels: {mnist_first: First set, ...}                        the printed form of names; default: the name
    scale: {name: demo, note: what a reader has to know of it, stand_ins: {mnist: digits, imagenet: untrained}}

The runs may be several grids (trained encoders, pretrained ones): a table has the rows and the columns that occur among
its runs, and leaves blank where a row and a column have no run in common. Keys in neither rows nor columns have one
value each, which the caption names. `stand_ins` tells which name of a dataset, transform, method or backbone is used in
the place of a published one.
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

GRID = ["dataset", "transform", "method", "backbone"]
KEYS = [*GRID, "metric"]
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
        or a run is missing), seeds and sources (both joined by spaces; of the runs with a number).

    Raises:
        UserError: a value that is published twice.
    """
    scale = panel["scale"]
    used = published.replace({key: dict(scale["stand_ins"]) for key in GRID})
    groups = dict(list(records.groupby(KEYS, sort=False))) if len(records) else {}
    lines = []
    cells = dict.fromkeys(tuple(run[key] for key in GRID) for run in panel["each"])
    for cell, metric in itertools.product(cells, panel["metrics"]):
        keys = (*cell, metric["name"])
        group = groups.get(keys, records.iloc[:0])
        valued = group[group["value"].notna()].sort_values("seed")
        values = valued["value"].to_numpy(float)
        reasons = list(dict.fromkeys(group.loc[group["value"].isna(), "reason"])) if len(group) else ["no runs"]
        match = used[(used[KEYS] == list(keys)).all(axis=1)]
        if len(match) > 1:
            raise UserError(f"published values: {len(match)} lines for {'/'.join(keys)}; keep one of them")
        known = match["value"].iloc[0] if len(match) else np.nan
        mean = values.mean() if len(values) else np.nan
        lines.append(
            {
                **dict(zip(KEYS, keys, strict=True)),
                "unit": metric.get("unit", ""),
                "mean": mean,
                "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
                "n": len(values),
                "published": known,
                "published_n": match["n_seeds"].iloc[0] if len(match) else np.nan,
                "published_note": match["note"].iloc[0] if len(match) else "",
                "difference": mean - known,
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
    """A table as plain text, before Markdown or LaTeX. A cell is a text and a footnote's mark, or ""."""

    note: str  # on the scale, or ""
    caption: str
    stub: list[str]  # headings of the columns that name the rows
    heads: list[tuple[str, list[str]]]  # a heading across, and the sub-headings below it
    body: list[tuple[list[str], list[tuple[str, str]]]]  # the names of a row, its cells
    footnotes: dict[str, str]  # mark: reason


def layout(table: pd.DataFrame, panel: Mapping[str, Any]) -> Layout:
    """Pivot the table of `long` as the panel declares it: "mean ± sd (n)" with the published value beside it.

    A cell without a number is a dash with the reason as its footnote, one that the panel has not is blank; one run has
    no sd. A metric that is `signed` shows its plus.

    Raises:
        UserError: a key has several values but is in neither `rows` nor `columns`.
    """
    rows, columns = list(panel["rows"]), list(panel["columns"])
    metrics = {metric["name"]: metric for metric in panel["metrics"]}
    order = {**panel["runs"], "metric": list(metrics)}
    fixed = [key for key in KEYS if key not in rows + columns]
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
        return panel["labels"].get(key, key)

    def occurring(keys: list[str]) -> list[tuple[str, ...]]:
        found = set(table[keys].itertuples(index=False, name=None))
        return [names for names in itertools.product(*(order[key] for key in keys)) if names in found]

    cells = {tuple(line[key] for key in rows + columns): line for line in table.to_dict("records")}
    down, across = occurring(rows), occurring(columns)
    compared = {tuple(cell[key] for key in columns) for cell in cells.values() if not _missing(cell["published"])}
    marks: dict[str, str] = {}

    def mark(reason: str) -> str:
        return marks.setdefault(reason, _letters(len(marks))) if reason else ""

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
                line.append((f"{cell['published']:.{metric['digits']}f}", mark(cell["published_note"])))
        body.append(([name(key) for key in row], line))

    ours = "reproduced" if panel["scale"]["name"] == "paper" else panel["scale"]["name"]
    where = "; ".join(f"{key}: {name(order[key][0])}" for key in fixed)
    return Layout(
        note=panel["scale"]["note"],
        caption=f"{panel['title'].rstrip('.')}{f' ({where})' if where else ''}. {_averaged(table)}{_origin(table)}",
        stub=[key.capitalize() for key in rows],
        heads=[(", ".join(map(name, at)), [ours, "published"] if at in compared else [ours]) for at in across],
        body=body,
        footnotes={mark: reason for reason, mark in marks.items()},
    )


def markdown(view: Layout) -> str:
    """The layout as a GitHub-flavoured Markdown table under its caption."""

    def cell(text: str, mark: str) -> str:
        return plain_markdown(text) + (f"<sup>{mark}</sup>" if mark else "")

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
        return _tex(text) + (rf"\textsuperscript{{{mark}}}" if mark else "")

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
    write_text(csv, table.to_csv(index=False))
    write_text(md, markdown(view) + ("\n" + below if below else ""))
    write_text(tex, latex(view))


def _number(cell: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    if not cell["n"]:
        return EMPTY
    digits, sign = metric["digits"], "+" if metric.get("signed") else ""
    spread = "" if _missing(cell["sd"]) else f" ± {cell['sd']:.{digits}f}"
    return f"{cell['mean']:{sign}z.{digits}f}{spread} ({cell['n']})"  # z: no -0.00


def _averaged(table: pd.DataFrame) -> str:
    counts = sorted(set(table["n"]) - {0})
    if not counts:
        return "No runs with a number."
    if counts == [1]:
        return "One run (seed) per cell, in brackets its number, hence no spread."
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Mean ± sample standard deviation over n = {n} runs that differ in their seed, with n in brackets."


def _origin(table: pd.DataFrame) -> str:
    counts = sorted(set(table["published_n"].dropna().astype(int)))
    if table["published"].isna().all():
        return ""
    over = f", mean of {' or '.join(map(str, counts))} runs" if counts else ""
    return f" Published: the value printed in the paper{over}."


def _missing(value: Any) -> bool:
    return value is None or value != value


def _letters(number: int) -> str:
    return string.ascii_lowercase[number] if number < 26 else _letters(number // 26 - 1) + _letters(number % 26)


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
    "·": r"$\cdot$",
    "—": "---",
    "\N{EN DASH}": "--",
    **{character: "\\" + character for character in "&%$#_"},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)
