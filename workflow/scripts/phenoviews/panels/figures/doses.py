"""AMI against concentration, one curve per encoder (*No Free Lunch*, figures 6 and 7), and the numbers behind it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from phenoviews.errors import UserError
from phenoviews.files import read_json
from phenoviews.panels.records import COLUMNS, RUN, titles
from phenoviews.panels.style import WIDTH, label_scale, style

AXES = RUN[:-1]
AMI, SHUFFLED = "ami", "ami_random_labels"
MARKERS = "osD^vP"
GREY = "#767676"


def draw(panel: Mapping[str, Any], files: Mapping[str, Sequence[str]]) -> Figure:
    """The figure of a panel as the study declares it, from one file per run: its doses."""
    found, stand_ins = records(panel, files), panel["scale"]["stand_ins"]
    named = dict(zip((tuple(run[key] for key in AXES) for run in panel["each"]), titles(panel), strict=True))
    of_run = {run: found[(found[AXES] == list(run)).all(axis=1)] for run in named}
    curves = [{"title": title, "records": of_run[run][of_run[run]["metric"] == AMI]} for run, title in named.items()]
    if "randomised" in panel:
        name = stand_ins.get(panel["randomised"], panel["randomised"])
        run = next((run for run in named if name in run), None)
        if run is None:
            raise UserError(f"panel {panel['name']}: randomised: '{name}' is not among its runs; name one of them")
        of = of_run[run][of_run[run]["metric"] == SHUFFLED]
        curves.append({"title": f"{named[run]},\nlabels shuffled", "records": of, "shuffled": True})
    return figure(curves, panel["scale"]["note"])


def records(panel: Mapping[str, Any], files: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """What `measures.doses` found, one line per run, concentration and metric (`ami`, `ami_random_labels`).

    Returns:
        `records.COLUMNS` and concentration (such as "0.3 µM"), micromolar, dose (1: the highest, 2: the next, ...),
        cells (of each class). A run without numbers has its reason at every concentration of the other runs.
    """
    measures = [read_json(path) for path in files["doses"]]
    known = sorted({entry["concentration"] for measure in measures for entry in measure["doses"] or ()}, reverse=True)
    lines = []
    for run, path, measure in zip(panel["each"], files["doses"], measures, strict=True):
        found = {entry["concentration"]: entry for entry in measure["doses"] or ()}
        for dose, micromolar in enumerate(known or [np.nan], 1):
            entry = found.get(micromolar, {})
            told = f"{micromolar:g} µM" if known else "every concentration"
            reason = None if entry else measure.get("reason", f"no cells at {told}")
            at = {"concentration": told, "micromolar": micromolar, "dose": dose, "cells": entry.get("n", 0)}
            at |= {key: run[key] for key in RUN} | {"postprocessing": "", "reason": reason, "source": str(path)}
            lines += [{**at, "metric": metric, "value": entry.get(metric, np.nan)} for metric in (AMI, SHUFFLED)]
    return pd.DataFrame(lines, columns=[*COLUMNS, "concentration", "micromolar", "dose", "cells"])


def as_table(panel: Mapping[str, Any], found: pd.DataFrame) -> tuple[dict[str, Any], pd.DataFrame]:
    """The figure's numbers for `table.long`: a declaration with one metric per concentration, down, and its records.

    What differs between the runs goes across. `found`: as from `records`.
    """
    kinds = {AMI: "", SHUFFLED: ", labels shuffled"}
    metrics = [
        {"name": f"{metric}@{at}", "label": f"AMI at {at}{told}", "unit": "", "digits": 2}
        for metric, told in kinds.items()
        for at in found.sort_values("micromolar")["concentration"].unique()
    ]
    varied = [axis for axis, names in panel["runs"].items() if len(names) > 1] or ["backbone"]
    title = f"{panel['title'].rstrip('.')}; {_counted(found)}"
    declared = {**panel, "title": title, "metrics": metrics, "rows": ["metric"], "columns": varied}
    return declared, found.assign(metric=found["metric"] + "@" + found["concentration"])[COLUMNS]


def figure(curves: Sequence[Mapping[str, Any]], note: str = "") -> Figure:
    """Draw the curves: mean over seeds, with the sample standard deviation as a bar.

    Args:
        curves: one dict per curve, the smallest network first, since the colour darkens from curve to curve: title;
            records, as from `records`, of one metric; shuffled (a curve in grey, dashed). One without numbers stands
            in the legend with its reason.
        note: see `style.label_scale`.
    """
    with style():
        fig = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        ax = fig.subplots()
        encoders = [curve for curve in curves if not curve.get("shuffled")]
        # Light yellow would be lost on white.
        colours = mpl.colormaps["viridis_r"](np.linspace(0.15, 1, len(encoders))) if len(encoders) > 1 else ["#440154"]
        handles, ticks = [], set()
        for number, curve in enumerate(curves):
            shuffled = curve.get("shuffled", False)
            look = {"color": GREY if shuffled else colours[number], "marker": "x" if shuffled else MARKERS[number % 6]}
            look |= {"linestyle": "--" if shuffled else "-", "linewidth": 1.2, "markersize": 4}
            valued = curve["records"].dropna(subset="value")
            handles.append(Line2D([], [], **look, label=_named(curve["title"], curve["records"])))
            if valued.empty:
                handles[-1].set(linestyle="", marker="", label=_named(curve["title"], curve["records"]))
                continue
            by_dose = valued.groupby("micromolar")["value"].agg(["mean", "std"])
            ticks |= set(by_dose.index)
            # Side by side, so that the bars of one concentration can be told apart.
            beside = by_dose.index * 10 ** (0.025 * (number - (len(curves) - 1) / 2))
            ax.errorbar(beside, by_dose["mean"], yerr=by_dose["std"].fillna(0), elinewidth=0.7, capsize=1.5, **look)
        ax.set_ylabel("AMI of treated and untreated cells\n(K-means, k = 2)")
        if ticks:
            ax.set_xscale("log")
            ax.set_xticks(sorted(ticks), [f"{value:g}" for value in sorted(ticks)])
            ax.minorticks_off()
            ax.axhline(0, color="black", linewidth=0.5, zorder=0)
        else:
            ax.set(xticks=[], yticks=[])
            ax.text(0.5, 0.5, "no numbers; the legend tells why", ha="center", transform=ax.transAxes)
        told = "\n".join(textwrap.wrap(_counted(pd.concat([curve["records"] for curve in curves])), 100))
        ax.set_xlabel(f"Concentration (µM)\n{told}")
        ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, handlelength=2.5)
        label_scale(fig, note)
        return fig


def _named(title: str, found: pd.DataFrame) -> str:
    reasons = "; ".join(found.loc[found["value"].isna(), "reason"].unique()) if found["value"].isna().all() else ""
    return textwrap.fill(f"{title}: no numbers, {reasons}", 30) if reasons else title


def _counted(found: pd.DataFrame) -> str:
    """How many cells and seeds the numbers are of."""
    valued = found.dropna(subset="value")
    if valued.empty:
        return "no numbers"
    cells, seeds = sorted(valued["cells"].unique()), valued["seed"].nunique()
    n = f"{cells[0]:,}" if len(cells) == 1 else f"{cells[0]:,} to {cells[-1]:,}"
    spread = (
        f"mean and sample standard deviation over {seeds} seeds, each with its own draw" if seeds > 1 else "one seed"
    )
    return f"n = {n} treated and as many untreated cells at each concentration; {spread}"
