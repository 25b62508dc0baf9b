"""What a `screens` entry finds: plates, wells, channels, doses, what is missing; and one field with its nuclei."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from phenoviews import spelling
from phenoviews.cells import screen as screens
from phenoviews.cells.diameters import suggested
from phenoviews.cells.nuclei import dna_channel
from phenoviews.cells.segmentation import nuclei, segment
from phenoviews.cells.source import Source
from phenoviews.errors import UserError
from phenoviews.panels.style import SMALL, WIDTH, style
from phenoviews.pictures.overlay import marked, outlines
from phenoviews.study.plan import share_to_train_with

LISTED = 20  # compounds that are told one by one
UNLIKE = 1.3  # times the declared diameter, or its inverse: from here on another one is suggested


def described(name: str, screen: Mapping[str, Any], table: pd.DataFrame) -> Iterator[str]:
    """Lines on the table of a screen's fields, as `cells.screen.fields` makes it."""
    plates, channels = table["Metadata_Plate"].nunique(), list(screen["channels"])
    wells = table.drop_duplicates(["Metadata_Plate", "Metadata_Well"])
    size = f"{len(table):,} fields in {len(wells):,} wells of {plates} plates"
    yield f"screens.{name}: {size}; channels {', '.join(channels)}"
    yield ""
    yield from _by_plate(table, channels)
    yield ""
    unit = spelling.unit(screen["unit"])[0]
    control = wells["Metadata_Control"]
    yield f"control: {screens.controls(screen)[0]}, {control.sum()} wells"
    for compound, rows in list(wells[~control].groupby("Metadata_Compound"))[:LISTED]:
        doses = ", ".join(f"{dose:g}" for dose in sorted(rows["Metadata_Concentration"].unique()))
        moa = f"; {', '.join(sorted(set(rows['Metadata_MoA']) - {''}))}" if (rows["Metadata_MoA"] != "").any() else ""
        yield f"{compound}: {doses} {unit}; {len(rows)} wells{moa}"
    if (more := wells.loc[~control, "Metadata_Compound"].nunique() - LISTED) > 0:
        yield f"… and {more} compounds more"
    batches = table["Metadata_Batch"].unique()
    yield f"batches: {', '.join(map(str, batches[:LISTED]))}"


def _by_plate(table: pd.DataFrame, channels: list[str]) -> Iterator[str]:
    lines = [("plate", "wells", "fields", "sites per well", "control wells", "compounds", "images missing")]
    for plate, rows in table.groupby("Metadata_Plate"):
        of_well = rows.groupby("Metadata_Well")
        sites = sorted(of_well.size().unique())
        missing = {channel: int((rows[f"Image_{channel}"] == "").sum()) for channel in channels}
        said = ", ".join(f"{count} of {channel}" for channel, count in missing.items() if count) or "none"
        each = of_well[["Metadata_Control", "Metadata_Compound"]].first()
        lines.append(
            (
                str(plate),
                str(len(of_well)),
                str(len(rows)),
                " to ".join(str(size) for size in dict.fromkeys((sites[0], sites[-1]))),
                str(each["Metadata_Control"].sum()),
                str(each.loc[~each["Metadata_Control"], "Metadata_Compound"].nunique()),
                said,
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()


def missing(table: pd.DataFrame, datasets: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines on what the data sets of the screen ask for and it does not have, and on plates without controls."""
    for plate, rows in table.groupby("Metadata_Plate"):
        if not rows["Metadata_Control"].any():
            yield f"missing: plate {plate} has no wells of the control"
    plates, compounds = table["Metadata_Plate"].unique(), sorted(table["Metadata_Compound"].unique())
    for name, dataset in datasets.items():
        for plate in dataset["plates"]:
            if plate not in plates:
                yield f"missing: datasets.{name}.plates: no plate {plate!r}: {spelling.found(plate, plates)}"
        here = table[table["Metadata_Plate"].isin(dataset["plates"])]
        if "compound" in dataset and dataset["compound"] not in set(here["Metadata_Compound"]):
            said = spelling.found(dataset["compound"], compounds)
            yield f"missing: datasets.{name}.compound: no {dataset['compound']!r} on its plates: {said}"
        if dataset["kind"] == "treatments" and (here["Metadata_MoA"] == "").all():
            yield f"missing: datasets.{name}: no compound of its plates has a mechanism of action (`moa`)"


def expected(table: pd.DataFrame, datasets: Mapping[str, Mapping[str, Any]], nuclei: int) -> Iterator[str]:
    """A line for each data set that does not say how many cells it trains with: how many, were there as many `nuclei`
    in each of its fields."""
    for name, dataset in datasets.items():
        if "images" in dataset or dataset.get("cells"):
            continue
        fields = table[table["Metadata_Plate"].isin(dataset["plates"])]
        if "compound" in dataset:
            fields = fields[fields["Metadata_Control"] | (fields["Metadata_Compound"] == dataset["compound"])]
        cells = round(len(fields) * nuclei * share_to_train_with(dataset))
        if cells:
            about = f"about {cells:,} cells to train with, were all fields like this"
            yield f"datasets.{name}: {about}; say `images: {cells}`"


def example(screen: Mapping[str, Any], table: pd.DataFrame) -> tuple[list[str], int, Figure]:
    """Lines on one field, in the middle of those of the control on the first plate, the number of its nuclei, and a
    picture of these at the declared diameter and at the one that is suggested."""
    whole = table[(table[[f"Image_{channel}" for channel in screen["channels"]]] != "").all(axis=1)]
    plate = whole[whole["Metadata_Control"] & (whole["Metadata_Plate"] == whole["Metadata_Plate"].iloc[0])]
    row = (plate if len(plate) else whole).iloc[[len(plate if len(plate) else whole) // 2]]
    with Source.open(screens.folder(screen), screen.get("project")) as source:
        ((row_, image),) = source.fields(row, list(screen["channels"]))
    params, channels = screen["nuclei"], list(screen["channels"])
    dna = image[channels.index(channel := dna_channel(channels, params))].astype(np.float32)
    where = " ".join(str(row_[f"Metadata_{key}"]) for key in ("Plate", "Well", "Site"))
    levels = [
        f"{channel}: {np.percentile(one, 1):.0f} to {np.percentile(one, 99):.0f}"
        for channel, one in zip(screen["channels"], image, strict=True)
    ]
    lines = [
        f"field {where}: {dna.shape[1]} x {dna.shape[0]} pixels of {8 * image.dtype.itemsize} bits; 1st to 99th "
        f"percentile {', '.join(levels)}"
    ]
    found, diameter = nuclei(dna, params), suggested(dna, params)
    lines.append(
        f"nuclei: {len(found)} in {channel} at the declared diameter of {params['diameter']:g} pixels{_median(found)}"
    )
    shown = {f"declared, {params['diameter']:g} pixels: {len(found)} nuclei": segment(dna, params)}
    if np.isnan(diameter):
        lines.append(f"no nuclei are seen in {channel}; say `nuclei: {{channel: ...}}` if they are in another channel")
    elif 1 / UNLIKE < diameter / params["diameter"] < UNLIKE:
        lines.append(f"suggested diameter: {diameter:.0f} pixels, which the declared one suits")
    else:
        lines.append(f"suggested diameter: {diameter:.0f} pixels; set `nuclei: {{diameter: {diameter:.0f}}}`")
        labels = segment(dna, {**params, "diameter": diameter})
        shown[f"suggested, {diameter:.0f} pixels: {labels.max()} nuclei"] = labels
    return lines, len(found), picture(dna, shown, where)


def _median(found: pd.DataFrame) -> str:
    return f", whose median is {np.sqrt(4 / np.pi * found['area'].median()):.0f}" if len(found) else ""


def picture(dna: np.ndarray, shown: Mapping[str, np.ndarray], title: str) -> Figure:
    """The field (H, W) with the outlines of each labelling, by its title."""
    high = WIDTH * dna.shape[0] / dna.shape[1] + 0.3
    with style():
        figure = Figure(figsize=(WIDTH, high * len(shown)), layout="constrained")
        for ax, (text, labels) in zip(
            figure.subplots(len(shown), 1, squeeze=False).ravel(), shown.items(), strict=True
        ):
            ax.imshow(marked(dna, outlines(labels)), interpolation="antialiased")
            ax.set_title(f"{title}; {text}", fontsize=SMALL + 2, loc="left")
            ax.set_axis_off()
    return figure


def refuse_official(name: str, screen: Mapping[str, Any]) -> None:
    """Only a lab's own screens are on the disk before the workflow runs."""
    if screen["kind"] == "bbbc021":
        raise UserError(f"screens.{name}: a screen of kind bbbc021 is downloaded first; check screens of your own")
