"""How NSC and NSCB move with TVN's regulariser and with the number of control wells: on simulated profiles.

    PYTHONPATH=workflow/scripts python docs/tvn.py ../shared/data/bbbc021

writes docs/tvn.csv and docs/tvn.png, the same ones every time, in some minutes. The folder has the screen's tables,
BBBC021_v1_image.csv.gz and BBBC021_v1_moa.csv: weeks, wells, compounds, doses and mechanisms are real, as Ljosa et al.
scored them. The features are made up (`simulated`): no profile of real cells is used here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from phenoviews.cells.choosers.treatments import annotated
from phenoviews.cells.screen import fields
from phenoviews.panels.style import WIDTH, colour, save, style
from phenoviews.profiles.neighbours import counted, nearest
from phenoviews.profiles.postprocess import postprocessed
from phenoviews.profiles.structure import eta_squared
from phenoviews.profiles.tables import CONTROL, WELL, treatments

DOCS = Path(__file__).parent
FEATURES = 192
CONTROLS = (3, 6, 12, 24, 48, 96, 192, 384)  # wells of each week; the real screen has 18 to 36
REGULARISERS = (0.001, 0.01, 0.1, 1.0, 10.0)
SCREENS = 10
# Spreads, of one feature on average, in units of the standard deviation of a control well within its week.
WEEK, MECHANISM, COMPOUND = 0.5, 0.3, 0.3


def layout(folder: Path) -> pd.DataFrame:
    """The treated wells of the real screen."""
    files = {"images": folder / "BBBC021_v1_image.csv.gz", "moa": folder / "BBBC021_v1_moa.csv"}
    entry = {"kind": "bbbc021", "channels": {"DNA": "DAPI", "tubulin": "Tubulin", "actin": "Actin"}, "control": "DMSO"}
    wells = annotated(fields(entry, files), control_columns=[2, 11]).drop_duplicates(WELL)
    return wells[~wells[CONTROL]].reset_index(drop=True)


def simulated(treated: pd.DataFrame, controls: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """meta and x of wells: the treated ones, and twice `controls` control wells in each week, of which the first half
    is for TVN (`Metadata_Control`) and the other (`fresh`) to see what TVN does to wells that it was not made from.

    Wells vary along correlated directions whose variances fall as 1/√k, of mean 1: typical variation. Each week shifts
    all its wells, along these directions as well. A mechanism and a compound each shift a treatment along directions of
    their own, without preference, the further the higher its dose ranks.
    """
    rng = np.random.default_rng(seed)
    d = FEATURES
    variances = np.arange(1, d + 1) ** -0.5
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0] * np.sqrt(d * variances / variances.sum())
    weeks = sorted(treated["Metadata_Batch"].unique())
    extra = pd.DataFrame({"Metadata_Batch": np.repeat(weeks, 2 * controls)})
    fresh = np.tile(np.repeat([False, True], controls), len(weeks))
    extra = extra.assign(Metadata_Compound="DMSO", Metadata_Concentration=0.0, Metadata_MoA="", fresh=fresh)
    meta = pd.concat([treated.assign(fresh=False), extra.assign(Metadata_Control=~fresh)], ignore_index=True)
    shift = dict(zip(weeks, WEEK * rng.normal(size=(len(weeks), d)) @ axes.T, strict=True))
    x = rng.normal(size=(len(meta), d)) @ axes.T + np.stack([shift[week] for week in meta["Metadata_Batch"]])
    dose = treated.groupby("Metadata_Compound")["Metadata_Concentration"].rank("dense", pct=True).to_numpy()
    for column, spread in (("Metadata_MoA", MECHANISM), ("Metadata_Compound", COMPOUND)):
        codes, names = pd.factorize(treated[column], sort=True)
        x[: len(treated)] += spread * (0.5 + dose[:, None]) * rng.normal(size=(len(names), d))[codes]
    return meta.astype({CONTROL: bool}), x


def judged(meta: pd.DataFrame, x: np.ndarray, reg: float) -> list[dict[str, object]]:
    """A line for each post-processing: NSC and NSCB in percent, and which share of the variance is between weeks,
    beyond chance (ε²), among the controls that TVN was made from and among the fresh ones."""
    control, batch, fresh = meta[CONTROL].to_numpy(), meta["Metadata_Batch"].to_numpy(), meta["fresh"].to_numpy()
    lines = []
    for name, values in postprocessed(x, control, batch, reg, reg)[0].items():
        table = nearest(*treatments(meta[~fresh], values[~fresh]))
        lines.append(
            {"postprocessing": name, **{key: counted(of)["percent"] for key, of in table.items()}}
            | {
                key: eta_squared(values[rows], batch[rows])["adjusted"]
                for key, rows in (("own", control), ("fresh", fresh))
            }
            # How large they are, by the mean square, in terms of the wells that TVN was made from.
            | {"size": float((values[fresh] ** 2).mean() / (values[control] ** 2).mean())}
        )
    return lines


def table(folder: Path, screens: int = SCREENS, controls=CONTROLS, regularisers=REGULARISERS) -> pd.DataFrame:
    """Means over `screens` simulations, and the standard deviation of the two scores."""
    treated, lines = layout(folder), []
    with threadpool_limits(1):  # the order in which threads add must not decide the last bit
        for seed in range(screens):
            for number in controls:
                meta, x = simulated(treated, number, seed)
                for reg in regularisers:
                    lines += [{"controls": number, "reg": reg, **line} for line in judged(meta, x, reg)]
    every = pd.DataFrame(lines)
    every = every.assign(reg=every["reg"].where(every["postprocessing"] != "none")).drop_duplicates()  # none has no reg
    found = every.groupby(["postprocessing", "controls", "reg"], dropna=False)
    spread = found[["nsc", "nscb"]].std().add_suffix("_sd")
    return found.mean().join(spread).reset_index()


def drawing(table: pd.DataFrame) -> Figure:
    with style():
        figure = Figure(figsize=(WIDTH, 3.1), layout="constrained")
        titles = {"nsc": "NSC (%)", "nscb": "NSCB (%)", "week": "Share of variance that is week"}
        for axes, (key, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
            axes.set(title=title, xscale="log", xlabel="control wells of a week", xticks=CONTROLS)
            axes.set_xticklabels(CONTROLS)
            axes.minorticks_off()
            bare = table[table["postprocessing"] == "none"].set_index("controls")
            tvn = table[table["postprocessing"] == "tvn"]
            for number, (reg, of) in enumerate(tvn[tvn["reg"] != 0.01].groupby("reg")):
                if key == "week":
                    axes.plot(of["controls"], of["own"], "o:", color=colour(number), markersize=2)
                    axes.plot(of["controls"], of["fresh"], "o-", color=colour(number), markersize=2)
                else:
                    axes.plot(
                        of["controls"],
                        of[key],
                        "o-",
                        color=colour(number),
                        markersize=2,
                        label=f"TVN, regulariser {reg:g}",
                    )
            if key == "week":
                axes.plot(bare.index, bare["fresh"], "--", color="grey", label="fresh ones, no post-processing")
                axes.plot([], [], "o-", color="grey", markersize=2, label="fresh control wells")
                axes.plot([], [], "o:", color="grey", markersize=2, label="those TVN is made from")
            else:
                axes.plot(bare.index, bare[key], "--", color="grey", label="no post-processing")
            if key != "nsc":
                axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.25))
    return figure


if __name__ == "__main__":
    found = table(Path(sys.argv[1]))
    found.to_csv(DOCS / "tvn.csv", index=False, float_format="%.4g")
    save(drawing(found), DOCS / "tvn.png")
    print(found.round(2).to_string(index=False))
