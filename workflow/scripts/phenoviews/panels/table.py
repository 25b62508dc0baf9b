"""Tables of a paper: one generic pivot over records, with the published value beside every number.

A panel declares its layout:

    title: what the table shows
    runs: {dataset: [...], transform: [...], method: [...], backbone: [...]}     the grid, in printed order
    metrics: [{name: ami, label: AMI, digits: 2, unit: score}, …]
    rows: [transform]            keys that go down
    columns: [metric]            keys that go across; "metric" is a key like the others

Keys in neither have one value each, which the caption names.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError

GRID = ["dataset", "transform", "method", "backbone"]
KEYS = [*GRID, "metric"]
EMPTY = "—"


@dataclass(frozen=True)
class Scale:
    """At which scale the numbers were made.

    name: "demo" or "paper". note: what a reader has to know about it, printed with every table and figure.
    stand_ins: published name → the name used in its place, such as {"mnist": "digits"}.
    """

    name: str
    note: str = ""
    stand_ins: Mapping[str, str] = field(default_factory=dict)


def long(records: pd.DataFrame, panel: Mapping[str, Any], published: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """One line per cell of the panel's grid and metric, in the declared order, cells without runs included.

    Args:
        records: as from `records.read`.
        panel: the declaration above.
        published: as from `records.published`.
        scale: see `Scale`.

    Returns:
        `KEYS`, unit, mean, sd (sample standard deviation; NaN for one run), n (runs with a number),
        published, published_n, difference (mean - published), scale, note, reason (why a number or a run is
        missing), seeds and sources (both joined by spaces; of the runs with a number).
    """
    used = published.replace({key: dict(scale.stand_ins) for key in GRID})
    groups = dict(list(records.groupby(KEYS, sort=False))) if len(records) else {}
    lines = []
    for *cell, metric in itertools.product(*(panel["runs"][key] for key in GRID), panel["metrics"]):
        keys = (*cell, metric["name"])
        group = groups.get(keys, records.iloc[:0])
        valued = group[group["value"].notna()].sort_values("seed")
        values = valued["value"].to_numpy(float)
        reasons = list(dict.fromkeys(group.loc[group["value"].isna(), "reason"])) if len(group) else ["no runs"]
        match = used[(used[KEYS] == keys).all(axis=1)]
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
                "difference": mean - known,
                "scale": scale.name,
                "note": scale.note,
                "reason": "; ".join(reasons),
                "seeds": " ".join(map(str, valued["seed"])),
                "sources": " ".join(valued["source"]),
            }
        )
    return pd.DataFrame(lines)


@dataclass(frozen=True)
class Layout:
    """A table as plain text, before Markdown or LaTeX: cells are (text, footnote mark or "")."""

    caption: list[str]
    stub: list[str]  # headings of the columns that name the rows
    heads: list[tuple[str, list[str]]]  # heading and its sub-headings
    body: list[tuple[list[str], list[tuple[str, str]]]]  # names of a row, its cells
    footnotes: dict[str, str]  # mark → reason
    demo: bool


def layout(table: pd.DataFrame, panel: Mapping[str, Any], scale: Scale, labels: Mapping[str, str]) -> Layout:
    """Pivot the long table as the panel declares it; `labels` gives the printed form of a name, if another."""
    labels = {
        **labels,
        **{metric["name"]: metric.get("label", metric["name"]) for metric in panel["metrics"]},
    }
    digits = {metric["name"]: metric.get("digits", 2) for metric in panel["metrics"]}
    rows, columns = list(panel["rows"]), list(panel["columns"])
    order = {**panel["runs"], "metric": [metric["name"] for metric in panel["metrics"]]}
    fixed = [key for key in KEYS if key not in rows + columns]
    for key in fixed:
        if len(order[key]) != 1:
            raise UserError(
                f"the panel '{panel['title']}' has {len(order[key])} values of '{key}', which is in neither "
                "`rows` nor `columns`; put it into one of them"
            )

    def name(key: str) -> str:
        return labels.get(key, key)

    cells = {tuple(line[key] for key in rows + columns): line for line in table.to_dict("records")}
    across = list(itertools.product(*(order[key] for key in columns)))
    compared = {at for at in across if any(not _missing(cells[(*r, *at)]["published"]) for r in _product(order, rows))}
    marks: dict[str, str] = {}

    def mark(reason: str) -> str:
        return marks.setdefault(reason, _letters(len(marks))) if reason else ""

    body = []
    for down in _product(order, rows):
        line = []
        for at in across:
            cell = cells[(*down, *at)]
            decimals = digits[cell["metric"]]
            line.append((_number(cell, decimals), mark(cell["reason"])))
            if at in compared:
                absent = _missing(cell["published"])
                text = EMPTY if absent else f"{cell['published']:.{decimals}f}"
                line.append((text, mark("not in the paper") if absent else ""))
        body.append(([name(key) for key in down], line))

    ours = "demo" if scale.name == "demo" else "this run"
    heads = [(" · ".join(map(name, at)), [ours, "published"] if at in compared else [ours]) for at in across]
    where = "; ".join(f"{name(key)}: {name(order[key][0])}" for key in fixed)
    caption = [panel["title"].rstrip(".") + (f" ({where})." if where else ".")]
    caption.append(f"{_averaged(table)}{_origin(table)}")
    if scale.note:
        caption.append(scale.note.rstrip(".") + ".")
    return Layout(
        caption=caption,
        stub=[name(key).capitalize() for key in rows],
        heads=heads,
        body=body,
        footnotes={mark: reason for reason, mark in marks.items()},
        demo=scale.name == "demo",
    )


def markdown(view: Layout) -> str:
    """The layout as a GitHub-flavoured Markdown table under its caption."""

    def cell(text: str, mark: str) -> str:
        return f"{_md(text)}<sup>{mark}</sup>" if mark else _md(text)

    head = [_md(text) for text in view.stub]
    for title, subs in view.heads:
        head += [_md(f"{title}, {sub}") if sub == "published" else _md(f"{title}") for sub in subs]
    lines = [_md(" ".join(_labelled(view))), "", _row(head)]
    lines.append(_row(["---"] * len(view.stub) + ["---:"] * (len(head) - len(view.stub))))
    lines += [_row([*map(_md, names), *(cell(*entry) for entry in entries)]) for names, entries in view.body]
    if view.footnotes:
        lines += ["", *(f"<sup>{mark}</sup> {_md(reason)}  " for mark, reason in view.footnotes.items())]
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
        second += [_tex(sub) for sub in subs]
    lines = [
        r"% Needs \usepackage{booktabs}.",
        r"\begin{table}",
        r"\centering",
        r"\small",
        r"\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{' '.join(_tex(text) for text in _labelled(view))}}}",
        rf"\begin{{tabular}}{{{'l' * len(view.stub)}{'r' * (width - len(view.stub))}}}",
        r"\toprule",
        " & ".join(top) + r" \\",
        " ".join(rules),
        " & ".join(second) + r" \\",
        r"\midrule",
        *(
            " & ".join([*map(_tex, names), *(cell(*entry) for entry in entries)]) + r" \\"
            for names, entries in view.body
        ),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    if view.footnotes:
        notes = [rf"\textsuperscript{{{mark}}}~{_tex(reason)}." for mark, reason in view.footnotes.items()]
        lines += ["", r"\smallskip", rf"{{\footnotesize {' '.join(notes)}\par}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def _number(cell: Mapping[str, Any], digits: int) -> str:
    if not cell["n"]:
        return EMPTY
    spread = "" if _missing(cell["sd"]) else f" ± {cell['sd']:.{digits}f}"
    return f"{cell['mean']:.{digits}f}{spread} ({cell['n']})"


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


def _labelled(view: Layout) -> list[str]:
    return ["DEMO SCALE.", *view.caption] if view.demo else view.caption


def _product(order: Mapping[str, list[str]], keys: Iterable[str]) -> list[tuple[str, ...]]:
    return list(itertools.product(*(order[key] for key in keys)))


def _missing(value: Any) -> bool:
    return value is None or value != value


def _letters(number: int) -> str:
    return string.ascii_lowercase[number] if number < 26 else _letters(number // 26 - 1) + _letters(number % 26)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _md(text: str) -> str:
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
