"""Maps of treatment profiles, coloured by MoA, with the errors of NSC and NSCB (*Contrastive Learning*, figure 2)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D

from phenoviews.errors import UserError
from phenoviews.panels.records import of_run, titles, why_none
from phenoviews.panels.style import COLOURS, SMALL, WIDTH, colour, label_scale, style
from phenoviews.panels.table import letters, places, printed

SCORES = ("nsc", "nscb")
LEGEND = 1.6  # inches, beside the maps
ACROSS = 3  # maps in a row, at most
AREA = 28  # square points of a circle or a square
# The diamond of a treatment that is wrong in both is drawn round its square.
SHAPES: dict[str, dict[str, Any]] = {
    "right": {"marker": "o", "s": AREA, "linewidths": 0.3, "edgecolors": "white"},
    "NSC error": {"marker": "s", "s": AREA, "linewidths": 0.8, "edgecolors": "black"},
    "NSCB error": {"marker": "D", "s": AREA, "linewidths": 0.8, "edgecolors": "black"},
    "both": {"marker": "D", "s": 2.7 * AREA, "linewidths": 0.8, "edgecolors": "black", "facecolors": "none"},
}
# In the markers of the second dozen MoAs, which have the colours of the first.
DOT: dict[str, Any] = {"marker": "o", "s": AREA / 4, "linewidths": 0, "edgecolors": "none", "facecolors": "white"}


def draw(panel: Mapping[str, Any], records: pd.DataFrame, files: Mapping[str, Sequence[str]]) -> Figure:
    """The figure of a panel as the study declares it, from one file per run: its map.

    A map has for every post-processing one row per treatment: Metadata_Compound, Metadata_Concentration, Metadata_MoA,
    postprocessing, x and y. Where there is no encoder it is empty.
    """
    scores = records[records["metric"].isin(SCORES)]
    shown = [name for name in places(panel, "postprocessing", scores["postprocessing"]) if name]
    several_seeds = len({run["seed"] for run in panel["each"]}) > 1
    maps = []
    for run, title, path in zip(panel["each"], titles(panel), files["map"], strict=True):
        found = of_run(records, run)
        # Where there are no scores, there may be no map either.
        mapped = pd.DataFrame() if why_none(found) else pd.read_parquet(path)
        for name in shown or [""]:  # where no encoder could be had
            here = found[found["postprocessing"].isin([name, ""])]
            words = [title, printed(panel, "postprocessing", name) * (len(shown) > 1)]
            words.append(f"seed {run['seed']}" * several_seeds)
            reason = why_none(here[here["metric"].isin(SCORES)])
            maps.append(
                {
                    "title": " · ".join(filter(None, words)),
                    "treatments": mapped.iloc[:0] if reason else _with_outcomes(mapped, here, name),
                    "reason": reason,
                }
            )
    return figure(maps, panel["scale"]["note"], across=len(shown) if len(shown) > 1 else ACROSS)


def figure(maps: Sequence[Mapping[str, Any]], note: str = "", across: int = ACROSS) -> Figure:
    """Draw the maps, row by row.

    Args:
        maps: one dict per map: title; treatments of one post-processing: Metadata_MoA, x and y, nsc and nscb
            (whether its nearest neighbour has its MoA; missing where it is not asked); reason, for where that is empty.
        note: see `style.label_scale`.
        across: maps in a row, at most.

    Raises:
        UserError: more MoAs than there are looks.
    """
    moas = sorted({moa for entry in maps if len(entry["treatments"]) for moa in entry["treatments"]["Metadata_MoA"]})
    if len(moas) > 2 * len(COLOURS):
        raise UserError(
            f"a map of treatments can tell {2 * len(COLOURS)} MoAs apart, here are {len(moas)}; remove the panel with "
            "`plot: treatments` from config.yaml"
        )
    columns = min(len(maps), across)
    rows = -(-len(maps) // columns)
    side = (WIDTH - LEGEND) / max(columns, 1.3)
    # A legend longer than a dozen MoAs needs its own height.
    height = max(rows * (side + 0.9), 3.4 + 0.13 * max(len(moas) - len(COLOURS), 0))
    with style():
        fig = Figure(figsize=(WIDTH, height), layout="constrained")
        for number, entry in enumerate(maps):
            ax = fig.add_subplot(rows, columns, number + 1)
            letter = letters(number) if len(maps) > 1 else ""
            counted = _counted(entry["treatments"]) if len(entry["treatments"]) else ""
            title = f"{letter}  {': '.join(filter(None, [entry['title'], counted]))}".strip()
            ax.set_title(textwrap.fill(title, int(18 * side), break_on_hyphens=False), loc="left")
            ax.set(xticks=[], yticks=[], box_aspect=1)
            if not counted:
                text = textwrap.fill(f"no map: {entry['reason']}", int(12 * side))
                ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes)
                continue
            _draw_treatments(ax, entry["treatments"], moas)
            left_out = textwrap.fill(_left_out(entry["treatments"]), int(18 * side))
            ax.set_xlabel("\n".join(filter(None, ["t-SNE 1 (a.u.)", left_out])))
            ax.set_ylabel("t-SNE 2 (a.u.)")
        if moas:
            _legend(fig, moas)
        label_scale(fig, note)
        return fig


def _with_outcomes(mapped: pd.DataFrame, records: pd.DataFrame, postprocessing: str) -> pd.DataFrame:
    """The map of one post-processing, with nsc and nscb: whether each treatment is right; missing where it is not
    asked."""
    mapped = mapped[mapped["postprocessing"] == postprocessing]
    treatments = list(mapped[["Metadata_Compound", "Metadata_Concentration"]].itertuples(index=False, name=None))
    for score in SCORES:
        asked = records[records["metric"] == f"{score}_right"].set_index(["compound", "concentration"])["value"]
        right = asked.astype(bool).to_dict()
        mapped = mapped.assign(**{score: pd.array([right.get(at) for at in treatments], dtype="boolean")})
    return mapped


def _legend(fig: Figure, moas: Sequence[str]) -> None:
    shapes = {label: _handle(shape) for label, shape in SHAPES.items()}
    handles: dict[str, Any] = {moa: _handle(SHAPES["right"], colour(number)) for number, moa in enumerate(moas)}
    handles |= {moa: (handles[moa], _handle(DOT)) for moa in moas[len(COLOURS) :]}
    heading = {"nearest neighbour by\nNSC and NSCB": Line2D([], [], ls="")}
    handles |= heading | shapes | {"both": (shapes["NSC error"], shapes["both"])}
    fig.legend(
        handles=list(handles.values()),
        labels=list(handles),
        handler_map={tuple: HandlerTuple(ndivide=1, pad=0)},
        title="MoA",
        title_fontsize=SMALL,
        alignment="left",
        loc="outside right center",
        frameon=False,
    )


def _draw_treatments(ax: Axes, treatments: pd.DataFrame, moas: Sequence[str]) -> None:
    nsc, nscb = (_wrong(treatments[score]) for score in SCORES)
    colours = treatments["Metadata_MoA"].map(lambda moa: colour(moas.index(moa)))
    # Errors last: they must not lie under what is right.
    drawn = {"right": ~(nsc | nscb), "NSC error": nsc, "NSCB error": nscb & ~nsc, "both": nsc & nscb}
    for label, rows in drawn.items():
        look = {"facecolors": colours[rows].tolist(), **SHAPES[label]}
        ax.scatter(treatments.loc[rows, "x"], treatments.loc[rows, "y"], label=label, **look)
        dotted = rows & treatments["Metadata_MoA"].isin(moas[len(COLOURS) :])
        if dotted.any() and label != "both":  # those have a square each, with its dot
            ax.scatter(treatments.loc[dotted, "x"], treatments.loc[dotted, "y"], label=f"{label}, dots", **DOT)


def _handle(shape: Mapping[str, Any], face: str = "#d9d9d9") -> Line2D:
    """A marker of `Axes.scatter` for a legend."""
    return Line2D(
        [],
        [],
        linestyle="",
        marker=shape["marker"],
        markersize=shape["s"] ** 0.5,
        markerfacecolor=shape.get("facecolors", face),
        markeredgecolor=shape["edgecolors"],
        markeredgewidth=shape["linewidths"],
    )


def _wrong(right: pd.Series) -> pd.Series:
    return ~right.astype("boolean").fillna(True).astype(bool)


def _right(right: pd.Series) -> tuple[int, int]:
    """How many treatments are right, of how many asked."""
    asked = int(right.notna().sum())
    return asked - int(_wrong(right).sum()), asked


def _counted(treatments: pd.DataFrame) -> str:
    counts = {score.upper(): _right(treatments[score]) for score in SCORES}
    return ", ".join(f"{of - correct} of {of} {score} errors" for score, (correct, of) in counts.items())


def _left_out(treatments: pd.DataFrame) -> str:
    unasked = treatments.loc[treatments["nscb"].isna(), "Metadata_MoA"]
    return f"NSCB leaves out {len(unasked)} treatments: {', '.join(sorted(set(unasked)))}" if len(unasked) else ""
