"""Fields that cannot be read: left out up to a declared share, and listed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile
from tests.cells.drawn import CHANNELS, INTENSITY, PARAMS, apart, field

from phenoviews.cells import illumination, nuclei, quality
from phenoviews.cells.source import Source
from phenoviews.errors import UserError

ILLUMINATION = {"smoothing": 0.4, "even_fields": 10, "quantile": 0.02}
DAMAGED = {7: "truncated", 40: "has no image of the channel actin", 99: "80x100 pixels of 16 bits where"}


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    """(its folder, the table of its 100 fields), three of which are damaged: cut off, incomplete, of another size."""
    folder, rows = tmp_path_factory.mktemp("plate"), []
    dna = np.rint(field(apart(3, 40, (120, 160), seed=1), shape=(120, 160))).astype(np.uint16)
    for number in range(100):
        names = {channel: f"f{number}_{channel}.tif" for channel in CHANNELS}
        for name in names.values():
            tifffile.imwrite(folder / name, dna[:100, :80] if number == 99 else dna)
        row = {"Metadata_Plate": "P1", "Metadata_Well": f"B{2 + number // 20:02d}", "Metadata_Site": number % 20 + 1}
        rows.append(
            {**row, "Metadata_Field": f"f{number}", **{f"Image_{channel}": name for channel, name in names.items()}}
        )
    cut = folder / "f7_DNA.tif"
    cut.write_bytes(cut.read_bytes()[:3000])
    rows[40]["Image_actin"] = ""
    return folder, pd.DataFrame(rows)


def test_three_of_a_hundred_are_left_out_and_listed(plate, tmp_path):
    folder, table = plate
    files = {"nuclei": tmp_path / "n.parquet", "qc": tmp_path / "qc.csv", "intensities": tmp_path / "i.json"}
    with Source.open(folder) as source:
        illumination.write(source.readable(table, CHANNELS, 0.03), ILLUMINATION, tmp_path / "light.npy", "P1")
        function = np.load(tmp_path / "light.npy")
        given = source.readable(table, CHANNELS, 0.03)
        nuclei.write(given, function, PARAMS, INTENSITY, CHANNELS, files, "P1")
    listed = quality.read(files["qc"]).set_index("Metadata_Field")
    assert len(listed) == 100
    for number, why in DAMAGED.items():
        assert why in listed.loc[f"f{number}", "left_out"]
    whole = listed.drop([f"f{number}" for number in DAMAGED])
    assert whole["left_out"].eq("").all()
    assert whole["count"].eq(3).all()
    assert not listed["empty"].any()
    assert pd.read_parquet(files["nuclei"])["Metadata_Field"].nunique() == 97
    # The light is that of the others alone.
    with Source.open(folder) as source:
        others = source.fields(table.drop(index=list(DAMAGED)), CHANNELS)
        np.testing.assert_array_equal(function, illumination.illumination((image for _, image in others), ILLUMINATION))


@pytest.mark.parametrize(
    ("allowed", "said"),
    [
        (0.0, r"f7_DNA\.tif: cannot be read \(truncated"),
        (0.02, "number 3 of 100 fields .* share 0.02 .*`unreadable_fraction`"),
    ],
)
def test_more_than_the_share_is_refused(plate, allowed, said):
    folder, table = plate
    with Source.open(folder) as source, pytest.raises(UserError, match=said):
        list(source.readable(table, CHANNELS, allowed))
