"""What a field of 1280 x 1024 x 3 costs one core on its way from camera values to crops, and the peak memory.

    python tests/benchmarks/cells.py [--fields 24] [--cells 200] [--side 196]

Times are processor time of one thread, without reading the images; the picture of a plate is drawn once per plate.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

from phenoviews.cells import nuclei
from phenoviews.cells.crops import crops, inside
from phenoviews.cells.illumination import illumination
from phenoviews.panels.style import save
from phenoviews.pictures import overlay

SHAPE = 1024, 1280
CHANNELS = ["DNA", "tubulin", "actin"]
ILLUMINATION = {"smoothing": 0.4, "even_fields": 10, "quantile": 0.02}
NUCLEI = {"diameter": 40, "least_area": 0.08, "contrast": 1.3, "focus": 4}


def plate(fields: int, cells: int) -> Iterator[tuple[pd.Series, np.ndarray]]:
    """Discs of 40 px, some of them touching, in three channels, with noise. Five fields, over and over."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-20:21, -20:21]
    disc = np.where(np.hypot(x, y) <= 19, 4000.0, 0.0)
    drawn = []
    for _ in range(5):
        image = np.zeros(SHAPE, np.float32)
        for row, column in rng.integers(20, (SHAPE[0] - 21, SHAPE[1] - 21), (cells, 2)):
            part = image[row - 20 : row + 21, column - 20 : column + 21]
            np.maximum(part, disc, out=part)
        image = 600 + gaussian_filter(image, 1.5)
        stack = np.stack([image, 1.5 * gaussian_filter(image, 8), gaussian_filter(image, 4)])
        drawn.append(np.clip(rng.normal(stack, 30), 0, 65535).astype(np.uint16))
    for number in range(fields):
        row = {"Metadata_Well": "B02", "Metadata_Site": number, "Metadata_Field": f"field{number}"}
        yield pd.Series(row), drawn[number % 5]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=24)
    parser.add_argument("--cells", type=int, default=200, help="nuclei drawn per field")
    parser.add_argument("--side", type=int, default=196)
    arguments = parser.parse_args()
    images = list(plate(5, arguments.cells))  # drawn before the clock starts

    def fields() -> Iterator[tuple[pd.Series, np.ndarray]]:
        for number in range(arguments.fields):
            yield images[number % 5][0].replace(f"field{number % 5}", f"field{number}"), images[number % 5][1]

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    times = {}
    start = time.process_time()
    function = illumination((image for _, image in fields()), ILLUMINATION)
    times["illumination"] = time.process_time() - start

    start = time.process_time()
    table, quality, levels = nuclei.examine(
        fields(), function, NUCLEI, {"low": 0.1, "high": 99.9}, CHANNELS, total=arguments.fields
    )
    times["nuclei, quality, percentiles"] = time.process_time() - start

    side = arguments.side
    table = table[inside(table["x"], table["y"], side, table["width"], table["height"])]
    start = time.process_time()
    cut = sum(len(found) for found in crops(fields(), table, function, side, "plate", levels))
    times["crops"] = time.process_time() - start

    for name, seconds in times.items():
        print(f"{name:<30}{1000 * seconds / arguments.fields:>8.0f} ms per field")
    print(f"{'all of it':<30}{arguments.fields / sum(times.values()):>8.2f} fields/s per core")
    print(f"{cut} crops of {side} px from {arguments.fields} fields")

    start = time.process_time()
    why = overlay.chosen(quality)
    again = ((row, image[:1]) for row, image in fields() if row["Metadata_Field"] in why)
    views = overlay.views(again, why, function[:1], table, NUCLEI)
    with tempfile.TemporaryDirectory() as folder:
        save(overlay.picture(views, quality, "plate"), Path(folder) / "plate.png")
    print(f"{'picture, once per plate':<30}{time.process_time() - start:>8.1f} s")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MiB, of which {before:.0f} before the first field (libraries and five fields)")


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
