"""How fast this device trains, by a minute's probe of the study's own kinds of trainings."""

import time

from phenoviews.job import leaves_copies, reported
from phenoviews.costs.paces import CALIBRATION, Costs, Paces
from phenoviews.costs.plan import plan
from phenoviews.files import write_json
from phenoviews.study import Study
from phenoviews.study.asked import counts
from phenoviews.study.document import shipped
from phenoviews.training.calibrate import calibrate

COPIED = 0.5  # seconds of a job beside its steps that begins as a copy; 83 trainings of the demo had a median of 0.45

with reported(snakemake.log[0]):
    # Elsewhere the imports, of which every training has about as many.
    started = COPIED if leaves_copies() else time.process_time()
    document = snakemake.params.document
    study = Study(document, shipped(), snakemake.params.said, counts(document["datasets"], called=True))
    costs = Costs(study.config)
    wanted = plan(study, study.asked, Paces(costs, []))
    runs = [study.pretraining(jobs[0].run) for _, _, jobs in wanted.kinds()]
    found = calibrate(costs, runs, started, threads=snakemake.threads)
    write_json(CALIBRATION, found)
    print(f"phenoviews: {len(found['kinds'])} of {len(runs)} kinds of trainings on {found['device']}; {CALIBRATION}")
