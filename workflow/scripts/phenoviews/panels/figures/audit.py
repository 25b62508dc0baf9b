"""An audit as a picture: what each change does to the objective, and to every class."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phenoviews.panels.style import COLOURS, WIDTH, label_scale, style

LINE = 0.16  # inches of a setting
VERDICTS = {"better": COLOURS[5], "worse": COLOURS[2], "no difference": COLOURS[0], "cannot tell": COLOURS[9]}


def draw_audit(table: pd.DataFrame, start: str, unit: str, margin: float, note: str) -> Figure:
    """Draw a table of `panels.audit.tidy`: changes of the objective with their intervals, right all at once, and beside
    them the changes of the classes, grey where noise may do the same.

    Args:
        start: what changes are counted from, the set or none of its operations; `unit` of all changes; `margin`: within
            it a change makes no difference.
    """
    overall = table[(table["outcome"] == "all") & (table["setting"] != start)].sort_values("change", kind="stable")
    classes = list(dict.fromkeys(table.loc[table["outcome"] != "all", "outcome"]))
    settings = overall["setting"].tolist()
    names = [name.removeprefix(start).removeprefix("+") or name for name in settings]
    with style():
        height = 1.3 + LINE * max(len(settings), 4) + (0.35 if note else 0)
        fig = Figure(figsize=(WIDTH, height), layout="constrained")
        left, right = fig.subplots(1, 2, sharey=True, width_ratios=[2, max(1, min(3, len(classes) / 8))])
        places = np.arange(len(settings))
        left.axvspan(-margin, margin, color="#eeeeee", zorder=0)
        left.axvline(0, color="black", linewidth=0.6)
        for verdict, colour in VERDICTS.items():
            of = (overall["verdict"] == verdict).to_numpy()
            found = overall[of]
            spread = [found["change"] - found["low"], found["high"] - found["change"]]
            left.errorbar(found["change"], places[of], xerr=spread, fmt="o", markersize=3, color=colour, elinewidth=0.8,
                          label=verdict)  # fmt: skip
        left.set_yticks(places, names)
        left.set_xlabel(f"Change of the objective ({unit})")
        left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=4, frameon=False)
        if classes:
            of_classes = table[table["outcome"] != "all"]
            values, told = (
                of_classes.pivot(index="setting", columns="outcome", values=key).loc[settings, classes]
                for key in ("change", "verdict")
            )
            shown_there = (told != "").to_numpy()
            most = float(np.nanmax(np.abs(values.to_numpy()), initial=1.0))
            right.imshow(np.where(shown_there, np.nan, 0.5), cmap="Greys", vmin=0, vmax=4, aspect="auto")
            image = right.imshow(
                np.where(shown_there, values, np.nan), cmap="RdBu", vmin=-most, vmax=most, aspect="auto"
            )
            right.set_xticks(range(len(classes)), classes, rotation=90)
            right.set_ylim(-0.5, len(settings) - 0.5)
            fig.colorbar(image, ax=right, label=f"Change ({unit}); grey: not shown")
        else:
            right.set_axis_off()
        label_scale(fig, note)
        return fig
