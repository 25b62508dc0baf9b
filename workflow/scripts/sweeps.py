"""What is measured of the sweeps of a panel: of all its trainings together."""

from tqdm import tqdm

from phenoviews.errors import reported
from phenoviews.panels import records
from phenoviews.panels.sweeps import SWEEPS

with reported(snakemake.log[0]):
    given = snakemake.params.given
    files = (
        (run, path)
        for name, runs in given["each"].items()
        for run, path in zip(runs, snakemake.input[name], strict=True)
    )
    found = records.read(files)
    rows = [
        row
        for name in tqdm(given["measures"], unit="measure")
        for row in SWEEPS[name](found, snakemake.params.settings)
    ]
    records.write_sweeps(snakemake.output[0], rows)
