"""A data set of cells: choose them among all nuclei of its plates, crop only those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from phenoviews import spelling
from phenoviews.cells.choosers import CHOOSERS
from phenoviews.cells.crops import crops, inside
from phenoviews.cells.source import Source
from phenoviews.data.images import write_chunks
from phenoviews.errors import UserError
from phenoviews.files import read_json
from phenoviews.measures.detection import pairs


def prepare(
    dataset: Mapping[str, Any],
    fields: pd.DataFrame,
    plates: Sequence[Mapping[str, Path]],
    images: Path,
    index: Path,
) -> None:
    """Write `images` (N, side, side, C) and `index` of a `datasets` entry of kind cells or treatments.

    Args:
        dataset: as `Study.cells` makes it.
        fields: the screen's table.
        plates: for each of `dataset["plates"]` the files pictures (archive or folder), illumination (.npy), nuclei
            (.parquet), intensities (.json), and of a simulated plate its truth (.parquet).

    The index has split, label, class, source ("plate/field x,y"), and the `Metadata_*` of each cell's field; of a
    simulated screen also Metadata_Phenotype, that of the true nucleus within half a `diameter`, "" for none.

    One field is in memory at a time. Raises UserError as the dataset's chooser does, and for unreadable images.
    """
    side, channels = dataset["side"], list(dataset["channels"])
    nuclei = pd.concat([pd.read_parquet(plate["nuclei"]) for plate in plates], ignore_index=True)
    whole = inside(nuclei["x"], nuclei["y"], side, nuclei["width"], nuclei["height"])
    refuse(dataset, fields, nuclei, whole)
    chosen = CHOOSERS[dataset["kind"]](nuclei[whole].reset_index(drop=True), dataset)
    by_plate = [chosen[chosen["Metadata_Plate"] == name] for name in dataset["plates"]]
    chosen = pd.concat(by_plate)
    place = chosen["Metadata_Plate"] + "/" + chosen["Metadata_Field"]
    table = chosen[["split", "label", "class"]].assign(
        source=[f"{where} {x:.0f},{y:.0f}" for where, x, y in zip(place, chosen["x"], chosen["y"], strict=True)]
    )
    table = table.join(chosen.filter(like="Metadata_"))
    if all("truth" in plate for plate in plates):
        truth = pd.concat([pd.read_parquet(plate["truth"]) for plate in plates], ignore_index=True)
        table["Metadata_Phenotype"] = phenotypes(chosen, truth, dataset["diameter"] / 2)

    def cut() -> Iterator[np.ndarray]:
        bar = tqdm(total=len(chosen), desc=f"crops of {dataset['name']}", unit="cell", mininterval=1)
        for name, plate, cells in zip(dataset["plates"], plates, by_plate, strict=True):
            wanted = fields[fields["Metadata_Field"].isin(cells["Metadata_Field"]) & (fields["Metadata_Plate"] == name)]
            function, bounds = np.load(plate["illumination"], allow_pickle=False), read_json(plate["intensities"])
            with Source.open(plate["pictures"], dataset.get("project")) as source:
                shown = source.fields(wanted, channels)
                for found in crops(shown, cells, function, side, dataset["intensity"], bounds):
                    yield ~found if dataset["invert"] else found
                    bar.update(len(found))

    dtype = np.dtype(np.uint16 if dataset["intensity"] == "raw" else np.uint8)
    write_chunks(images, index, cut(), (len(chosen), side, side, len(channels)), dtype, table.reset_index(drop=True))


def refuse(dataset: Mapping[str, Any], fields: pd.DataFrame, nuclei: pd.DataFrame, whole: np.ndarray) -> None:
    """`UserError` with the key to blame where a data set can have no cells: its plates, its compound, how nuclei are
    found, the size of its crops. `whole`: of which `nuclei` the crop lies inside its field."""
    name, plates = f"datasets.{dataset['name']}", ", ".join(dataset["plates"])
    there = fields[fields["Metadata_Plate"].isin(dataset["plates"])]
    if "compound" in dataset and (compound := dataset["compound"]) not in (
        known := there["Metadata_Compound"].unique()
    ):
        elsewhere = sorted(fields.loc[fields["Metadata_Compound"] == compound, "Metadata_Plate"].unique())
        said = f"it is on {', '.join(elsewhere[:8])}" if elsewhere else spelling.found(compound, sorted(known))
        none = f"no cells of compound '{compound}' on {plates}"
        raise UserError(f"{name}: {none}; {said}; check `compound` and `plates`")
    if nuclei.empty:
        pictures = f"results/screens/{dataset['screen']}/qc"
        raise UserError(
            f"{name}: no nuclei were found on {plates} at the screen's `nuclei: {{diameter: "
            f"{dataset['diameter']:g}}}`; check that, and its `contrast`, by the pictures in {pictures}"
        )
    if not whole.any():
        width, height = nuclei.loc[nuclei.index[0], ["width", "height"]]
        raise UserError(
            f"{name}: no crop of `side: {dataset['side']}` around any of {len(nuclei)} nuclei lies inside its field of "
            f"{width} x {height} pixels; lower `side`"
        )


def phenotypes(cells: pd.DataFrame, truth: pd.DataFrame, radius: float) -> list[str]:
    """The true phenotype of each cell: that of the true nucleus of its field which it is matched with, else ""."""
    true: dict[Any, pd.DataFrame] = dict(list(truth.groupby("Metadata_Field")))
    found = np.full(len(cells), "", dtype=object)
    of_field: Mapping[Any, Any] = cells.groupby("Metadata_Field").indices
    for field, rows in of_field.items():
        if field not in true:
            raise UserError(f"the simulation knows no field {field}; delete results/simulation to have it made again")
        matched = pairs(cells[["x", "y"]].to_numpy()[rows], true[field][["x", "y"]].to_numpy(), radius)
        found[rows[matched[:, 0]]] = true[field]["Metadata_Phenotype"].to_numpy()[matched[:, 1]]
    return found.tolist()
