"""Tables of a paper: one generic pivot over records, with the published value beside every number.

A panel declares its layout (`Study.declaration` makes it of config.yaml):

    name: no_free_lunch_table1
    title: what the table shows
    each: [{dataset: ..., transform: ..., method: ..., backbone: ..., seed: ...}, ...]     every run
    runs: {dataset: [...], transform: [...], method: [...], backbone: [...]}     the names, in printed order
    metrics: [{name: ami, label: AMI, unit: "", digits: 2, signed: false, counts: "", dimensions: [k]}, ...]
    dimensions: {class: {label: class, unit: "", names: {}, blank: all, follows: ""}, ...}       as in `study.metrics`
    rows: [transform]            dimensions that go down
    columns: [metric]            dimensions that go across; "metric" is one like the others
    where: {class: [cat, dog]}   the values of a dimension that are shown, in this order; without, all of them
    average: [class]             dimensions over which the mean is taken, within each seed
    labels: {mnist_first: First set, ...}                        the printed form of names; default: the name
    scale: {name: demo, note: what a reader has to know of it, stand_ins: {mnist: digits, imagenet: untrained}}

A panel of the user's own, which nothing is published of, has `own: true` in its scale.

The runs may be several grids (trained encoders, pretrained ones): a table has the rows and the columns that occur among
its runs, and leaves blank where a row and a column have no run in common. Every other dimension has one value, which
the caption names. `stand_ins` tells which name of a dataset, transform, method or backbone is used in the place of a
published one. What a paper quotes from others stands in rows of its own, above ours.
"""

from __future__ import annotations

import itertools
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.files import write_text
from phenoviews.panels.records import is_blank
from phenoviews.study.metrics import AXES, RUN, SWEPT
from phenoviews.study.names import bare, stand_in
from phenoviews.values import COUNTED, dimensions

PUBLISHED = {"n": "n_seeds", "decimals": "decimals", "correct": "correct", "of": "of"}
# What a table does not show where it has nothing of the kind.
OPTIONAL = [*COUNTED, "published_decimals", "published_correct", "published_of", "averaged", "missing"]
QUOTED = "quoted by the paper from cited work"
EMPTY = "\N{EM DASH}"
ANYWHERE = "(anywhere)"  # of a published value: in a dimension that its file does not tell


def long(records: pd.DataFrame, panel: Mapping[str, Any], published: pd.DataFrame) -> pd.DataFrame:
    """One line per cell (values that differ in their seed only), in the declared order, also without numbers.

    Args:
        records: as from `records.of_panel`.
        panel: the declaration above.
        published: as from `records.published`.

    Returns:
        The dimensions that are not averaged over (swept and at only where the table shows them), "" where a metric does
        not have them; metric, unit, mean, sd (sample standard deviation; NaN for one run), n (runs with a number),
        asked (runs), published, published_n, published_note, difference (mean - published), scale, note, reason (why
        a number or some of the runs are missing), missing (the same seed by seed), seeds, values and sources (joined by
        spaces; of the runs with a number). Of what is counted also correct, low, high (of one run; NaN for several),
        of, published_correct, published_of and published_decimals. averaged: over how many values. Lines of what the
        paper quotes come first; they have no runs.

    Raises:
        UserError: a value that is published twice.
    """
    scale, metrics = panel["scale"], {metric["name"]: metric for metric in panel["metrics"]}
    found = _averaged(_completed(_shown(records, panel), panel), panel)
    named = [name for name in dimensions(found) if name not in ("seed", "averaged") or name in _keys(panel)]
    used = published.assign(**{axis: [stand_in(name, scale["stand_ins"]) for name in published[axis]] for axis in AXES})
    used = _placed(used, found, named, _keys(panel))
    quoted = used.loc[used["quoted"] != "", named].replace(ANYWHERE, "").drop_duplicates()
    cells = {(*line, name): found.iloc[:0] for line in quoted.itertuples(index=False, name=None) for name in metrics}
    cells |= dict(iter(found.groupby([*named, "metric"], sort=False)))
    order = {key: places(panel, key, found[key]) for key in [*named, "metric"]}
    first = [*AXES, *_keys(panel), "metric"]
    by = sorted(order, key=lambda key: first.index(key) if key in first else len(first))

    def place(cell: tuple[Any, ...]) -> list[int]:
        at = dict(zip(order, cell, strict=True))
        return [order[key].get(at[key], -1) for key in by]

    lines = []
    for at in sorted(cells, key=place):
        group, metric = cells[at], metrics[at[-1]]
        valued, missing = (group[of].sort_values("seed") for of in (group["value"].notna(), group["value"].isna()))
        values = valued["value"].to_numpy(float)
        mean = values.mean() if len(values) else np.nan
        counted = dict(valued[COUNTED].iloc[0]) if len(valued) == 1 else dict.fromkeys(COUNTED, np.nan)
        asked = valued["of"].unique()
        counted["of"] = asked[0] if len(asked) == 1 else np.nan
        match = used[np.all([used[key].isin([value, ANYWHERE]) for key, value in zip(order, at, strict=True)], axis=0)]
        if len(match) > 1:
            key = "/".join(str(value) for value in at if value != "")
            raise UserError(f"published values: {len(match)} lines for {key}; keep one of them")
        known = dict(match.iloc[0]) if len(match) else {}
        lines.append(
            {
                **dict(zip([*named, "metric"], at, strict=True)),
                "unit": metric["unit"],
                "mean": mean,
                "sd": values.std(ddof=1) if len(values) > 1 else np.nan,
                "n": len(values),
                "asked": len(group),
                **counted,
                "averaged": group["averaged"].max(),
                "published": known.get("value", np.nan),
                **{f"published_{key}": known.get(column, np.nan) for key, column in PUBLISHED.items()},
                "published_note": known.get("note", ""),
                "difference": mean - known.get("value", np.nan),
                "scale": scale["name"],
                "note": scale["note"],
                "reason": why_missing(list(missing["reason"]), len(group)) if len(group) else QUOTED,
                "missing": "; ".join(f"{seed}: {why}" for seed, why in missing[["seed", "reason"]].to_numpy()),
                "seeds": " ".join(map(str, valued["seed"])),
                "values": " ".join(map(str, values)),
                "sources": " ".join(valued["source"]),
            }
        )
    return pd.DataFrame(lines)


def why_missing(reasons: Sequence[str], asked: int) -> str:
    """Why some of the runs that were asked have no number: "3 of 5 seeds; 2 collapsed"; "" where all have one."""
    if not reasons:
        return ""
    if len(reasons) == asked and len(set(reasons)) == 1:
        return reasons[0]
    kinds = Counter(re.split(r" in epoch \d", reason)[0] for reason in reasons)  # that of each training is its own
    counts = "; ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{asked - len(reasons)} of {asked} seeds; {counts}"


def _keys(panel: Mapping[str, Any]) -> list[str]:
    return [*panel["rows"], *panel["columns"]]


def _shown(records: pd.DataFrame, panel: Mapping[str, Any]) -> pd.DataFrame:
    """The records of the panel's metrics, in the dimensions that these have: objects, "" where one has none."""
    found = records[records["metric"].isin([metric["name"] for metric in panel["metrics"]])]
    swept = SWEPT if set(SWEPT) & set(_keys(panel)) else []
    free = [name for name in panel["dimensions"] if name not in (*RUN, *SWEPT) and name in found]
    kept = [*RUN, *swept, *(name for name in free if not is_blank(found[name]).all())]
    found = found[[*kept, *(name for name in found if name not in dimensions(found))]]
    return found.assign(**{name: found[name].astype(object).mask(is_blank(found[name]), "") for name in kept})


def _completed(found: pd.DataFrame, panel: Mapping[str, Any]) -> pd.DataFrame:
    """With a record for each run and metric. One that has no place in the dimensions of its metric, since it could not
    be measured, is there once for each place of the others: those of its dataset if there are any."""
    free = [name for name in dimensions(found) if name not in (*RUN, *SWEPT)]
    parts = []
    for metric in panel["metrics"]:
        of = found[found["metric"] == metric["name"]]
        there = set(of[RUN].itertuples(index=False, name=None))
        absent = (
            []
            if metric.get("of_sweep")
            else [run for run in panel["each"] if tuple(run[key] for key in RUN) not in there]
        )
        none = {**dict.fromkeys([*free, "source"], ""), "metric": metric["name"], "reason": "no runs"}
        of = pd.concat([of, pd.DataFrame([{**none, **run} for run in absent], columns=of.columns, dtype=object)])
        own = [name for name in free if (of[name] != "").any()]
        placeless = of["value"].isna() & (of[own] == "").all(axis=1)
        known = of[~placeless]
        if known.empty:
            values = {name: _declared(panel, name) for name in metric["dimensions"]}
            own, known = list(values), pd.DataFrame(list(itertools.product(*values.values())), columns=list(values))
        parts.append(of[~placeless])
        for dataset, rows in of[placeless].groupby("dataset", sort=False):
            alike = known[known["dataset"] == dataset] if "dataset" in known else known.iloc[:0]
            places = (alike if len(alike) else known)[own].drop_duplicates()
            parts.append(rows.drop(columns=own, errors="ignore").merge(places, how="cross") if own else rows)
    found = pd.concat(parts, ignore_index=True)
    text = [name for name in (*dimensions(found), "source") if name != "seed"]
    found = found.fillna(dict.fromkeys(text, ""))
    return found.astype({"seed": int, **dict.fromkeys(["value", *COUNTED], float)})


def _declared(panel: Mapping[str, Any], name: str) -> list[Any]:
    """The values of a dimension that are there without a measurement."""
    if name in panel["where"]:
        return list(panel["where"][name])
    return list(panel["dimensions"][name]["names"]) * (name in _keys(panel)) or [""]


def _averaged(found: pd.DataFrame, panel: Mapping[str, Any]) -> pd.DataFrame:
    """The mean over the dimensions that are averaged over, within each seed; `averaged` tells over how many values. A
    seed that lacks one of them has no mean, which would be of something else."""
    if not panel["average"]:
        return found.assign(averaged=np.nan)
    over = [name for name in dimensions(found) if _is_averaged(panel, name)]
    named = [name for name in dimensions(found) if name not in over]
    lines = []
    for _, cell in found.groupby([*(name for name in named if name != "seed"), "metric"], sort=False):
        values = set(cell[over].itertuples(index=False, name=None))
        for _, group in cell.groupby("seed"):
            line = dict(group.iloc[0]) if len(values) == 1 else {**group.iloc[0], **dict.fromkeys(COUNTED, np.nan)}
            reasons = list(dict.fromkeys(group.loc[group["value"].isna(), "reason"]))
            if len(group) < len(values):
                reasons.append(f"lacks {len(values) - len(group)} of {len(values)} values to average over")
            line |= {"value": np.nan if reasons else group["value"].mean(), "reason": "; ".join(reasons)}
            lines.append(line | {"averaged": len(values), "source": " ".join(dict.fromkeys(group["source"]))})
    return pd.DataFrame(lines).drop(columns=over)


def _is_averaged(panel: Mapping[str, Any], name: str) -> bool:
    """Whether the mean is taken over a dimension, or over what decides it."""
    follows = panel["dimensions"][name]["follows"]
    return name in panel["average"] or (follows in panel["average"] and name not in _keys(panel))


def _placed(published: pd.DataFrame, found: pd.DataFrame, named: Sequence[str], keys: Sequence[str]) -> pd.DataFrame:
    """The published values in the dimensions of the found ones. One that is told in another dimension has no place; one
    that tells nothing of a dimension that has one value here is of this value."""
    untold = [name for name in named if name not in AXES and name not in keys]
    for name in named:
        column = published[name] if name in published else pd.Series("", published.index)
        if any(isinstance(value, float) for value in found[name]):
            column = column.map(lambda value: float(value) if value else "")
        published = published.assign(**{name: column.replace("", ANYWHERE) if name in untold else column})
    known = {*named, *AXES, *PUBLISHED.values(), "paper", "panel", "metric", "value", "unit", "quoted", "note"}
    elsewhere = [name for name in published if name not in known]
    return published[(published[elsewhere] == "").all(axis=1)]


def places(panel: Mapping[str, Any], key: str, column: Iterable[Any]) -> dict[Any, int]:
    """{value: its place} of the values of a dimension, in printed order."""
    there = dict.fromkeys(column)
    if key == "metric":
        declared = [metric["name"] for metric in panel["metrics"]]
    elif key in AXES:
        declared = panel["runs"][key]
    else:
        declared = panel["where"].get(key) or panel["dimensions"][key]["names"]
    others = [value for value in there if value != "" and value not in declared]
    if not any(isinstance(value, str) for value in others):
        others = sorted(others)
    # What is not declared is quoted by the paper; blank is a metric's that does not have the dimension.
    blank = [""] if "" in there and "" not in declared else []
    ordered = [*blank, *others, *(value for value in declared if value in there)]
    return {value: place for place, value in enumerate(ordered)}


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
    lines: list[list[int | None]]  # of each cell of the body: the line of the table that it shows


def layout(table: pd.DataFrame, panel: Mapping[str, Any]) -> Layout:
    """Pivot the table of `long` as the panel declares it: "mean ± sd (n)" with the published value beside it.

    A cell without a number is a dash with the reason as its footnote, one that the panel has not is blank; one run has
    no sd, and its score of profiles is "score [low, high], k/n". A metric that is `signed` shows its plus.

    Raises:
        UserError: a dimension has several values but is in neither `rows`, `columns` nor `average`.
    """
    rows, columns = list(panel["rows"]), list(panel["columns"])
    metrics = {metric["name"]: metric for metric in panel["metrics"]}
    named = [key for key in map(str, table.columns) if key in ("metric", *panel["dimensions"])]
    order = {key: list(places(panel, key, table[key])) for key in named}
    fixed = {key: _one_value(panel, key, order) for key in order if key not in rows + columns}

    def name(key: str, value: Any) -> str:
        return printed(panel, key, value)

    def occurring(keys: list[str]) -> list[tuple[Any, ...]]:
        found = set(table[keys].itertuples(index=False, name=None))
        return [values for values in itertools.product(*(order[key] for key in keys)) if values in found]

    if (twice := table.duplicated(rows + columns)).any():
        first = table[twice].iloc[0]
        where = ", ".join(name(key, first[key]) for key in rows + columns)
        raise UserError(
            f"panel {panel['name']}: two values in one cell ({where}); name what differs in rows or columns"
        )
    lines = [{str(key): value for key, value in line.items()} for line in table.to_dict("records")]
    cells = {tuple(line[key] for key in rows + columns): line for line in lines}
    line_of = {at: number for number, at in enumerate(cells)}
    down, across = occurring(rows), occurring(columns)
    compared = {tuple(cell[key] for key in columns) for cell in cells.values() if not _missing(cell["published"])}
    marks: dict[str, str] = {}

    def mark(reason: str) -> str:
        return marks.setdefault(reason, letters(len(marks))) if reason else ""

    body, shown = [], []
    for row in down:
        line, of = [], []
        for at in across:
            cell = cells.get((*row, *at))
            of += [line_of.get((*row, *at))] * (2 if at in compared else 1)
            if cell is None:
                line += [("", "")] * (2 if at in compared else 1)
                continue
            metric = metrics[cell["metric"]]
            line.append((_number(cell, metric), mark(cell["reason"])))
            if at in compared and _missing(cell["published"]):
                line.append((EMPTY, mark("not in the paper")))
            elif at in compared:
                line.append((_known(cell, metric), mark(cell["published_note"])))
        body.append(([name(key, value) for key, value in zip(rows, row, strict=True)], line))
        shown.append(of)

    scale = panel["scale"]
    ours = "" if scale.get("own") else "reproduced" if scale["name"] == "paper" else scale["name"]
    fixed_at = [f"{_heading(panel, key)}: {name(key, value)}" for key, value in fixed.items() if value != ""]
    if panel["average"]:
        over = " and ".join(_heading(panel, key) for key in panel["average"])
        fixed_at.append(f"mean over {over}, {table['averaged'].max():.0f} values")
    where = f" ({'; '.join(fixed_at)})" if fixed_at else ""
    return Layout(
        note=panel["scale"]["note"],
        caption=f"{panel['title'].rstrip('.')}{where}. {_averages(table, metrics)}{_origin(table, metrics)}",
        stub=[_heading(panel, key).capitalize() for key in rows],
        heads=[(", ".join(map(name, columns, at)), [ours, "published"] if at in compared else [ours]) for at in across],
        body=body,
        footnotes={mark: reason for reason, mark in marks.items()},
        lines=shown,
    )


def _one_value(panel: Mapping[str, Any], key: str, order: Mapping[str, Sequence[Any]]) -> Any:
    """The value of a dimension that is in neither rows nor columns; "" where what is there decides it."""
    values = [value for value in order[key] if value != ""]
    if key == "seed" or (key != "metric" and panel["dimensions"][key]["follows"] in _keys(panel)):
        return values[0] if len(values) == 1 else ""
    if key in AXES and "at" in order:  # a name differs in the number that is swept, and that is shown
        values = list(dict.fromkeys(bare(value, order["swept"]) for value in values))
    if len(values) > 1:
        raise UserError(
            f"panel {panel['name']}: {len(values)} values of '{key}', which is in neither `rows`, `columns` nor "
            "`average`; put it into one of them, or choose one value of it under `where`"
        )
    return values[0] if values else ""


def printed(panel: Mapping[str, Any], key: str, value: Any) -> str:
    """What a value of a dimension is called."""
    if key == "metric":
        metric = next(metric for metric in panel["metrics"] if metric["name"] == value)
        return f"{metric['label']} ({metric['unit']})" if metric["unit"] else str(metric["label"])
    dimension = panel["dimensions"][key]
    if value == "":
        return str(dimension["blank"])
    if isinstance(value, str):
        return str(panel["labels"].get(value, dimension["names"].get(value, value)))
    return f"{value:g} {dimension['unit']}".strip()


def _heading(panel: Mapping[str, Any], key: str) -> str:
    return key if key == "metric" else str(panel["dimensions"][key]["label"])


def markdown(view: Layout) -> str:
    """The layout as a GitHub-flavoured Markdown table under its caption."""

    def cell(text: str, mark: str) -> str:
        return plain_markdown(text.replace("\n", " ")) + (f"<sup>{mark}</sup>" if mark else "")

    head = view.stub + [", ".join(filter(None, (title, sub))) for title, subs in view.heads for sub in subs]
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
    """The layout as a `table` float for \\input; the document needs \\usepackage{booktabs,graphicx}, nothing else.

    What is wider than a page goes on below, with the names of the rows again; what is still wider, by the letters that
    it happens to have, is scaled to the width of the text.
    """
    parts = _parts(view)
    width = max(len(view.stub) + sum(len(view.heads[head][1]) for head in part) for part in parts)
    note = rf"\textbf{{{_prose(view.note)}}} " if view.note else ""
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.",
        r"\begin{table}",
        r"\centering",
        r"\footnotesize" if width < 8 and len(parts) == 1 else r"\scriptsize",
        r"\setlength{\tabcolsep}{2.5pt}",
        rf"\caption{{{note}{_prose(view.caption)}}}",
    ]
    for number, part in enumerate(parts):
        lines += [r"\par\medskip"] * (number > 0) + _tabular(view, part)
    if view.footnotes:
        notes = [rf"\textsuperscript{{{mark}}}~{_tex(reason)}." for mark, reason in view.footnotes.items()]
        lines += ["", r"\smallskip", rf"{{\scriptsize {' '.join(notes)}\par}}"]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


PAGE = 84  # characters of the smallest type that stand beside each other on a page
GAP = 1.3  # characters between two columns
LONG = 20  # characters of a row's name from which it is wrapped, so that the numbers find room on the page


def _parts(view: Layout) -> list[list[int]]:
    """The places of the heads that stand beside each other, as many as a page is wide enough for."""
    names = sum(min(_longest([view.stub[at], *of]), _stub_width(of)) + GAP for at, of in enumerate(_names(view)))
    parts: list[list[int]] = [[]]
    left, start = PAGE - names, 0
    for place, (title, subs) in enumerate(view.heads):
        columns = range(start, start + len(subs))
        texts = [[sub, *(line for _, cells in view.body for line in cells[at][0].split("\n"))]
                 for sub, at in zip(subs, columns, strict=True)]  # fmt: skip
        wide = max(sum(_longest(of) for of in texts) + GAP * (len(subs) - 1), len(title)) + GAP
        if parts[-1] and wide > left:
            parts.append([])
            left = PAGE - names
        parts[-1].append(place)
        left, start = left - wide, start + len(subs)
    return parts


def _names(view: Layout) -> list[list[str]]:
    """The names of the rows, by the column that they stand in."""
    return [[names[at] for names, _ in view.body] for at in range(len(view.stub))]


def _longest(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)


def _stub_width(names: Sequence[str]) -> int:
    """Characters that a column of names is given: its longest word at least, where it is wrapped."""
    longest = _longest(names)
    return longest if longest <= LONG else max(LONG, _longest(word for name in names for word in name.split()))


def _tabular(view: Layout, part: Sequence[int]) -> list[str]:
    """The rows with the heads of these places, no wider than the text."""

    def cell(text: str, mark: str) -> str:
        first, *others = map(_tex, text.split("\n"))
        top = first + (rf"\textsuperscript{{{mark}}}" if mark else "")
        # In braces, as a bracket that begins a line would be read as an option of the break before it.
        lines = r" \\ ".join([top, *(f"{{{other}}}" for other in others)])
        return rf"\shortstack[r]{{{lines}}}" if others else top

    starts = list(itertools.accumulate((len(subs) for _, subs in view.heads), initial=0))
    shown = [column for place in part for column in range(starts[place], starts[place + 1])]
    width = len(view.stub)
    top, rules, second = [""] * width, [], [_tex(text) for text in view.stub]
    for title, subs in (view.heads[place] for place in part):
        top.append(rf"\multicolumn{{{len(subs)}}}{{c}}{{{_tex(title)}}}")
        rules.append(rf"\cmidrule(lr){{{width + 1}-{width + len(subs)}}}")
        width += len(subs)
        second += [_tex(sub.replace("published", "publ.")) for sub in subs]
    wrapped = [_longest(of) > LONG for of in _names(view)]
    stub = "".join(
        f"p{{{0.55 * _stub_width(of):.1f}em}}" if wrap else "l" for wrap, of in zip(wrapped, _names(view), strict=True)
    )

    def named(names: list[str]) -> list[str]:
        return [r"\raggedright " * wrap + _tex(text) for wrap, text in zip(wrapped, names, strict=True)]

    return [
        rf"\sbox0{{\begin{{tabular}}{{{stub}{'r' * len(shown)}}}",
        r"\toprule",
        _tex_row(top),
        " ".join(rules),
        _tex_row(second),
        r"\midrule",
        *(_tex_row([*named(names), *(cell(*cells[column]) for column in shown)]) for names, cells in view.body),
        r"\bottomrule",
        r"\end{tabular}}%",
        r"\ifdim\wd0>\linewidth\resizebox{\linewidth}{!}{\usebox0}\else\usebox0\fi",
    ]


def write(table: pd.DataFrame, view: Layout, csv: str | Path, md: str | Path, tex: str | Path, below: str = "") -> None:
    """Write the table of `long` as CSV, and as its `layout` in Markdown (with the text `below` it) and LaTeX."""
    nothing = [name for name in OPTIONAL if is_blank(table[name]).all()]
    write_text(csv, table.drop(columns=nothing).to_csv(index=False))
    write_text(md, markdown(view) + ("\n" + below if below else ""))
    write_text(tex, latex(view))


def _number(cell: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    if not cell["n"]:
        return EMPTY
    digits, sign = metric["digits"], "+" if metric["signed"] else ""
    form = f"{sign}z.{digits}f"  # z: no -0.00
    if metric.get("of_sweep") and _missing(cell["low"]) and _missing(cell["sd"]):  # of all trainings of a sweep
        return f"{cell['mean']:{form}}{_share(cell['correct'], cell['of'], metric)}"
    spread = "" if _missing(cell["sd"]) else f" ± {cell['sd']:.{digits}f}"
    known = f" ({cell['n']})" if _missing(cell["low"]) else f"\n[{cell['low']:{form}}, {cell['high']:{form}}]"
    return f"{cell['mean']:{form}}{spread}{known}{_share(cell['correct'], cell['of'], metric)}"


def _known(cell: Mapping[str, Any], metric: Mapping[str, Any]) -> str:
    digits = metric["digits"] if _missing(cell["published_decimals"]) else int(cell["published_decimals"])
    share = _share(cell["published_correct"], cell["published_of"], metric)
    return f"{cell['published']:.{digits}f}{share}"


def _share(correct: float, of: float, metric: Mapping[str, Any]) -> str:
    return "" if _missing(correct) or not metric["counts"] else f",\n{correct:.0f}/{of:.0f}"


def _averages(table: pd.DataFrame, metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """What the numbers are means of, and what stands beside them."""
    counts = sorted(set(table["n"]) - {0})
    if not counts:
        return "No runs with a number."
    if any(metric.get("of_sweep") for metric in metrics.values()):
        return (
            "Every number is of all trainings of a sweep. In square brackets a 90 % bootstrap interval over seeds; of "
            "what noise counts, that which holds 90 % of its draws. Where each seed has a number of its own, mean ± "
            "sample standard deviation, with n in brackets."
        )
    counted = table[table["metric"].map(lambda name: bool(metrics[name]["counts"]))]
    word = next((metric["counts"] for metric in metrics.values() if metric["counts"]), "")
    asked = sorted(set(counted["of"].dropna().astype(int)), reverse=True)
    one = ", one ".join(f"of {n} is {100 / n:.2g} %" for n in asked)
    points = f" One {word} {one}." if asked else ""
    bootstrap = f"in square brackets a 95 % bootstrap interval over {word}s, then how many {word}s are right"
    bounded = table["low"].notna().any()
    if counts == [1]:
        alone = "in brackets its number, hence no spread" + f", then how many {word}s are right" * bool(asked)
        return f"One run (seed) per cell, {bootstrap if bounded else alone}.{points}"
    n = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    spread = f"Mean ± sample standard deviation over n = {n} runs that differ in their seed, with n in brackets"
    return f"{spread}{f'; of one run {bootstrap}' if bounded else ''}.{points}"


def _origin(table: pd.DataFrame, metrics: Mapping[str, Mapping[str, Any]]) -> str:
    counts = sorted(set(table["published_n"].dropna().astype(int)))
    if table["published"].isna().all():
        return ""
    over = f", mean of {' or '.join(map(str, counts))} runs" if counts else ""
    word = next((metric["counts"] for metric in metrics.values() if metric["counts"]), "")
    counted = f", with the number of right {word}s" if word and table["published_of"].notna().any() else ""
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
    for character in "\\|*_<`$":
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
    "·": r"$\cdot$",
    "—": "---",
    "\N{EN DASH}": "--",
    **{character: "\\" + character for character in "&%$#_"},
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character) or _greek(character) for character in text)


def _prose(text: str) -> str:
    """As `_tex`, for lines that break: a setting's name, which has no blanks, may do so at its dots and underscores."""
    return re.sub(r"(\.(?=[A-Za-z])|\\_)", r"\1\\allowbreak{}", _tex(text))


def _greek(character: str) -> str:
    """A small Greek letter in mathematics, any other character as it is."""
    name = unicodedata.name(character, "").removeprefix("GREEK SMALL LETTER ").lower()
    name = {"lamda": "lambda"}.get(name, name)
    return f"$\\{name}$" if "\N{GREEK SMALL LETTER ALPHA}" <= character <= "\N{GREEK SMALL LETTER OMEGA}" else character
