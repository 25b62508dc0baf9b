"""What the study costs, as a page and as tables."""

from pathlib import Path

from phenoviews.job import reported
from phenoviews.costs import page
from phenoviews.costs.finished import finished, folders
from phenoviews.costs.paces import Costs, Paces, calibration
from phenoviews.costs.plan import plan
from phenoviews.study import Study
from phenoviews.study.asked import counts
from phenoviews.study.document import shipped

with reported(snakemake.log[0]):
    document = snakemake.params.document
    study = Study(document, shipped(), snakemake.params.said, counts(document["datasets"], called=True))
    paces = Paces(Costs(study.config), list(finished(folders(Path("results")))), calibration())
    folder = Path("results") / study.at_work[-1]
    gist = page.write(
        plan(study, study.asked, paces),
        {form: folder / f"plan.{form}" for form in ("md", "html", "csv")},
        study.config.get("budget_gpu_hours"),
    )
    for line in gist.splitlines():
        print(f"phenoviews: {line}")
