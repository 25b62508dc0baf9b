"""Toy screens, and the real one's tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phenoviews.cells.choosers.treatments import annotated
from phenoviews.cells.screen import fields


def screen(moas=4, compounds=3, doses=2, batches=3, replicates=2, controls=8, d=20, batch_effect=0.0, seed=0):
    """meta, x of a made screen's wells: each compound in one batch, a plate per replicate, a direction per MoA."""
    rng = np.random.default_rng(seed)
    directions, shifts = rng.normal(size=(moas, d)), batch_effect * rng.normal(size=(batches, d))
    rows, x = [], []
    for batch in range(batches):
        for plate in range(replicates):
            treated = [
                (f"compound{c + 1}", float(dose + 1), f"moa{c % moas + 1}", 3 * directions[c % moas])
                for c in range(moas * compounds)
                if c // moas % batches == batch
                for dose in range(doses)
            ]
            listed = [("DMSO", 0.0, "", 0.0)] * controls + treated
            for well, (compound, concentration, moa, effect) in enumerate(listed):
                rows.append((f"B{batch}_P{plate}", f"W{well:02d}", compound, concentration, moa, f"B{batch}"))
                x.append(effect + shifts[batch] + rng.normal(size=d))
    names = ("Plate", "Well", "Compound", "Concentration", "MoA", "Batch")
    meta = pd.DataFrame(rows, columns=[f"Metadata_{name}" for name in names])
    return meta.assign(Metadata_Control=meta["Metadata_Compound"] == "DMSO"), np.array(x)


def treated(rows):
    """meta and x of treatments given as (compound, concentration, MoA, batch, angle in degrees)."""
    meta = pd.DataFrame([row[:4] for row in rows], columns=["Metadata_Compound", "Metadata_Concentration",
                                                            "Metadata_MoA", "Metadata_Batch"])  # fmt: skip
    angles = np.radians([row[4] for row in rows])
    return meta, np.stack([np.cos(angles), np.sin(angles)], axis=1)


@pytest.fixture(scope="session")
def bbbc021(shared_data) -> pd.DataFrame:
    """The fields of BBBC021's annotated set, from the official tables."""
    folder = shared_data / "bbbc021"
    files = {"images": folder / "BBBC021_v1_image.csv.gz", "moa": folder / "BBBC021_v1_moa.csv"}
    if not files["images"].is_file():
        pytest.skip(f"no {files['images']}")
    entry = {"kind": "bbbc021", "channels": {"DNA": "DAPI", "tubulin": "Tubulin", "actin": "Actin"}, "control": "DMSO"}
    return annotated(fields(entry, files), control_columns=[2, 11])
