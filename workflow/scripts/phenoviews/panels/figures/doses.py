"""AMI against concentration, one curve per encoder (*No Free Lunch*, figures 6 and 7)."""

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
from phenoviews.panels.records import of_run, titles, why_none
from phenoviews.panels.style import WIDTH, label_scale, style
from phenoviews.study.metrics import AXES
from phenoviews.study.names import stand_in

AMI, SHUFFLED, CHANCE = "ami_treated", "ami_random_labels", "ami_random_most"
AXES_AT = {axis: place for place, axis in enumerate(AXES)}
MARKERS = "osD^vP"
GREY = "#767676"


def draw(panel: Mapping[str, Any], records: pd.DataFrame, files: Mapping[str, Sequence[str]]) -> Figure:
    """The figure of a panel as the study declares it, from what `measures.doses` found."""
    runs = [tuple(run[key] for key in AXES) for run in panel["each"]]
    # A single encoder differs from no other, and has a name all the same.
    named = {run: title or panel["labels"][run[-1]] for run, title in zip(runs, titles(panel), strict=True)}

    def curve(run: tuple[str, ...], metric: str) -> pd.DataFrame:
        found = of_run(records, dict(zip(AXES, run, strict=True)))
        return found[found["metric"] == metric]

    main = panel["each"][0]["method"]
    curves: list[dict[str, Any]] = [
        {"title": title, "records": curve(run, AMI), "baseline": run[AXES_AT["method"]] != main}
        for run, title in named.items()
    ]
    if "randomised" in panel:
        name = stand_in(panel["randomised"], panel["scale"]["stand_ins"])
        run = next((run for run in named if name in run), None)
        if run is None:
            raise UserError(f"panel {panel['name']}: randomised: '{name}' is not among its runs; name one of them")
        curves.append({"title": f"{named[run]},\nlabels shuffled", "records": curve(run, SHUFFLED), "shuffled": True})
    return figure(curves, _counted(records), panel["scale"]["note"], panel.get("dose_unit", "µM"), _chance(records))


def figure(
    curves: Sequence[Mapping[str, Any]],
    counted: str,
    note: str = "",
    unit: str = "µM",
    chance: pd.Series | None = None,
) -> Figure:
    """Draw the curves: mean over seeds, with the sample standard deviation as a bar.

    Args:
        curves: one dict per curve, the smallest network first, since the colour darkens from curve to curve: title;
            records of one metric; shuffled (a curve in grey, dashed); baseline (in black, dotted). One without numbers
            stands in the legend with its reason.
        counted: how many cells and seeds the numbers are of.
        note: see `style.label_scale`.
        unit: of the concentrations.
        chance: by concentration, what an AMI does not exceed by chance, for a band.
    """
    with style():
        fig = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        ax = fig.subplots()
        encoders = [curve for curve in curves if not (curve.get("shuffled") or curve.get("baseline"))]
        # Light yellow would be lost on white.
        colours = mpl.colormaps["viridis_r"](np.linspace(0.15, 1, len(encoders))) if len(encoders) > 1 else ["#440154"]
        handles, ticks = list[Any](), set()
        for number, curve in enumerate(curves):
            shuffled, baseline = curve.get("shuffled", False), curve.get("baseline", False)
            at = next((place for place, of in enumerate(encoders) if of is curve), number)
            look: dict[str, Any] = {
                "color": GREY if shuffled else "black" if baseline else colours[at],
                "marker": "x" if shuffled else MARKERS[number % 6],
            }
            look |= {"linestyle": "--" if shuffled else ":" if baseline else "-", "linewidth": 1.2, "markersize": 4}
            valued = curve["records"].dropna(subset="value")
            handles.append(Line2D([], [], **look, label=_named(curve["title"], curve["records"])))
            if valued.empty:
                handles[-1].set(linestyle="", marker="", label=_named(curve["title"], curve["records"]))
                continue
            by_dose = valued.groupby("concentration")["value"].agg(["mean", "std"])
            ticks |= set(by_dose.index)
            # Side by side, so that the bars of one concentration can be told apart.
            beside = by_dose.index * 10 ** (0.025 * (number - (len(curves) - 1) / 2))
            ax.errorbar(beside, by_dose["mean"], yerr=by_dose["std"].fillna(0), elinewidth=0.7, capsize=1.5, **look)
        if chance is not None and len(chance):
            band = ax.fill_between(chance.index, 0, chance, color=GREY, alpha=0.25, linewidth=0, zorder=0)
            band.set_label("by chance: 95 % of\nshuffled labels")
            handles.append(band)
        ax.set_ylabel("AMI of treated and untreated cells\n(K-means, k = 2)")
        if ticks:
            ax.set_xscale("log")
            ax.set_xticks(sorted(ticks), [f"{value:g}" for value in sorted(ticks)])
            ax.minorticks_off()
            ax.axhline(0, color="black", linewidth=0.5, zorder=0)
        else:
            ax.set(xticks=[], yticks=[])
            ax.text(0.5, 0.5, "no numbers; the legend tells why", ha="center", transform=ax.transAxes)
        ax.set_xlabel("\n".join([f"Concentration ({unit})", *textwrap.wrap(counted, 100)]))
        ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, handlelength=2.5)
        label_scale(fig, note)
        return fig


def _chance(records: pd.DataFrame) -> pd.Series:
    """By concentration what no encoder's AMI exceeds by chance in more than 5 % of shuffles: the largest of theirs."""
    found = records[records["metric"] == CHANCE].dropna(subset="value")
    if found.empty:
        return pd.Series(dtype=float)
    means = found.groupby([*AXES, "concentration"])["value"].mean()
    return means.groupby("concentration").max()


def _named(title: str, found: pd.DataFrame) -> str:
    reason = why_none(found)
    return textwrap.fill(f"{title}: no numbers, {reason}", 30) if reason else title


def _counted(records: pd.DataFrame) -> str:
    """How many cells and seeds the numbers are of."""
    cells = records[records["metric"] == "cells"].dropna(subset="value")
    if cells.empty:
        return "no numbers"
    counts, seeds = sorted(cells["value"].astype(int).unique()), cells["seed"].nunique()
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    spread = (
        f"mean and sample standard deviation over {seeds} seeds, each with its own draw" if seeds > 1 else "one seed"
    )
    return f"n = {n} treated and as many untreated cells at each concentration; {spread}"
