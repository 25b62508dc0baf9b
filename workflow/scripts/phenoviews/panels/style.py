"""How every figure looks: print width, readable type, colours for colour-blind readers."""

from __future__ import annotations

import textwrap
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from phenoviews.files import atomic

WIDTH = 7.0  # inches: the full text width of a page
SMALL = 6.0  # points: the least type size

# Paul Tol's "muted" scheme for colour-blind readers, like hues kept apart, with a grey as the tenth; then an orange and
# black, for twelve MoAs.
COLOURS = (
    "#332288",
    "#ddcc77",
    "#cc6677",
    "#44aa99",
    "#aa4499",
    "#117733",
    "#88ccee",
    "#882255",
    "#999933",
    "#8c8c8c",
    "#ee7733",
    "#000000",
)
WARNING = "#b2182b"

_RC = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the same letters everywhere
    "text.parse_math": False,  # titles and names of classes are drawn as they are
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,  # TrueType, which journals ask for
    "svg.hashsalt": "phenoviews",
}


def style() -> AbstractContextManager[None]:
    """The settings under which figures are drawn and saved; the user's own matplotlibrc has no say."""
    settings: dict[Any, Any] = {**mpl.rcParamsDefault, **_RC, "backend": "agg"}
    return mpl.rc_context(settings)


def label_scale(figure: Figure, note: str) -> None:
    """Print what a reader has to know about the scale (such as "Demo scale: ...") above everything else."""
    if note:
        figure.suptitle(wrapped(note), x=0.01, ha="left", fontsize=7, color=WARNING, fontweight="bold")


def wrapped(note: str) -> str:
    """The note in lines that a figure is wide enough for."""
    return textwrap.fill(note, 120)


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def save(figure: Figure, *files: str | Path) -> None:
    """Write the figure as PNG (300 dpi) or PDF (TrueType fonts embedded), by a file's suffix, without dates:
    reproducible."""
    undated = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Creator": None, "Producer": None}}
    with style():
        for file in files:
            with atomic(file) as partial:
                figure.savefig(partial, metadata=undated[Path(file).suffix])
