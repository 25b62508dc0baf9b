"""How many classes noise alone sets against each other, by the number of settings that a sweep has.

    PYTHONPATH=workflow/scripts python docs/opposition.py

writes docs/opposition.csv and docs/opposition.png, the same ones every time, in some minutes. Accuracies of 100 classes
are drawn for five seeds; between two settings nothing differs but noise and, where there is a common trend, what
happens to all classes alike. So no class is opposed to another, and whatever is counted is false.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phenoviews.curves.floors import FLOORS, drawn
from phenoviews.curves.opposition import flagged, points
from phenoviews.curves.trends import count_pairs, directions, opposed, slopes
from phenoviews.panels.style import COLOURS, WIDTH, save, style

DOCS = Path(__file__).parent
SEEDS, CLASSES, SD = 5, 100, 2.5  # SD: in points, between trainings that differ in their seed
SETTINGS = (5, 6, 8, 10, 12, 15, 20)
TRENDS = (0.0, 1.0, 2.0, 4.0)  # points that all classes gain from the first to the last setting
REPEATS, DRAWS = 40, 9


def made(rng: np.random.Generator, settings: int, trend: float) -> np.ndarray:
    """(seeds, settings, classes), in points."""
    return trend * np.linspace(0, 1, settings)[:, None] + rng.normal(scale=SD, size=(SEEDS, settings, CLASSES))


def published(y: np.ndarray) -> int:
    """Classes with an opposite by the paper's criterion."""
    return int(flagged(points(y)).sum())


def counted(settings: int, trend: float, repeats: int = REPEATS) -> dict[str, float]:
    """One line of the table: the mean and the middle 90 % of the published count over `repeats` studies, what the
    floors say of each on average, and in how many the honest count finds a pair."""
    rng = np.random.default_rng([settings, int(10 * trend)])
    studies = [made(rng, settings, trend) for _ in range(repeats)]
    counts = [published(y) for y in studies]
    floors = {
        name: float(np.mean([drawn(y, floor, published, rng, DRAWS).mean() for y in studies]))
        for name, floor in FLOORS.items()
    }
    x = np.linspace(0, 1, settings)
    honest = sum(count_pairs(opposed(directions(slopes(x, y)))) > 0 for y in studies)
    return {
        "settings": settings,
        "trend": trend,
        "published": float(np.mean(counts)),
        "published_5": float(np.quantile(counts, 0.05)),
        "published_95": float(np.quantile(counts, 0.95)),
        **floors,
        "studies": repeats,
        "studies_with_an_honest_pair": honest,
    }


def drawing(table: pd.DataFrame) -> Figure:
    with style():
        figure = Figure(figsize=(WIDTH, 3), layout="constrained")
        axes = figure.add_subplot(
            xlabel="settings of the sweep",
            xticks=SETTINGS,
            ylabel=f"classes of {CLASSES} with an opposite",
            ylim=(0, 103),
            title="No class is opposed to another here: what is counted is noise",
        )
        for colour, (trend, of) in zip(COLOURS, table.groupby("trend"), strict=False):
            label = f"all classes gain {trend:g} point{'s' * (trend != 1)}" if trend else "nothing changes but noise"
            axes.plot(of["settings"], of["published"], "o-", color=colour, markersize=3, label=label)
            axes.fill_between(
                of["settings"], of["published_5"], of["published_95"], color=colour, alpha=0.2, linewidth=0
            )
            axes.plot(of["settings"], of["without_class"], "x:", color=colour, markersize=4)
        axes.plot([], [], "x:", color="grey", markersize=4, label="beside it: the floor (N1)")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


if __name__ == "__main__":
    table = pd.DataFrame([counted(settings, trend) for trend in TRENDS for settings in SETTINGS])
    table.to_csv(DOCS / "opposition.csv", index=False, float_format="%.4g")
    save(drawing(table), DOCS / "opposition.png")
    print(table.round(1).to_string(index=False))
