"""What is measured of the sweeps of a panel: of all its trainings together."""

from tqdm import tqdm

from phenoviews.job import reported
from phenoviews.panels import partial, records
from phenoviews.panels.sweeps import SWEEPS

with reported(snakemake.log[0]):
    given = snakemake.params.given
    files, absent = partial.given(snakemake.input, snakemake.params.get("partial"))
    of_runs = ((run, path) for name, runs in given["each"].items() for run, path in zip(runs, files[name], strict=True))
    found = records.read(of_runs, absent)
    rows = [
        row
        for name in tqdm(given["measures"], unit="measure")
        for row in SWEEPS[name](found, snakemake.params.settings)
    ]
    records.write_sweeps(snakemake.output[0], rows)
