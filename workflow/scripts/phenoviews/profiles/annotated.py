"""What an annotated set holds: its treatments, and how many of everything."""

from __future__ import annotations

from typing import Any

import pandas as pd

from phenoviews.profiles.neighbours import of_few_batches, single_batch_moas
from phenoviews.profiles.tables import CONTROL, TREATMENT, WELL


def treatment_list(fields: pd.DataFrame) -> pd.DataFrame:
    """One row per annotated treatment, sorted: compound, concentration, MoA, batch (of several, all), wells, fields."""
    treated = fields[~fields[CONTROL]]
    return (
        treated.assign(well=treated["Metadata_Plate"] + " " + treated["Metadata_Well"])
        .groupby(TREATMENT)
        .agg(
            Metadata_MoA=("Metadata_MoA", "first"),
            Metadata_Batch=("Metadata_Batch", lambda batch: ", ".join(sorted(batch.unique()))),
            wells=("well", "nunique"),
            fields=("well", "size"),
        )
        .reset_index()
    )


def counts(fields: pd.DataFrame) -> dict[str, Any]:
    """What the annotated set holds: fields, wells (controls, treated), plates, batches, treatments, compounds, moas;
    single_batch_moas, MoA → its batch; nscb_treatments, how many NSCB asks."""
    table, wells = treatment_list(fields), fields.drop_duplicates(WELL)
    single = single_batch_moas(fields[~fields[CONTROL]])
    return {
        "fields": len(fields),
        "wells": len(wells),
        "controls": int(wells[CONTROL].sum()),
        "treated": int((~wells[CONTROL]).sum()),
        "plates": int(wells["Metadata_Plate"].nunique()),
        "batches": int(wells["Metadata_Batch"].nunique()),
        "treatments": len(table),
        "compounds": int(table["Metadata_Compound"].nunique()),
        "moas": int(table["Metadata_MoA"].nunique()),
        "single_batch_moas": single,
        "nscb_treatments": int((~of_few_batches(table["Metadata_MoA"], single)).sum()),
    }
