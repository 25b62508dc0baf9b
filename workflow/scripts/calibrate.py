"""How fast this device trains, by a minute's probe of the study's own kinds of trainings."""

import time

from phenoviews.job import reported
from phenoviews.costs.paces import CALIBRATION, Costs, Paces
from phenoviews.costs.plan import plan
from phenoviews.files import write_json
from phenoviews.study import Study
from phenoviews.study.document import shipped
from phenoviews.training.calibrate import calibrate

with reported(snakemake.log[0]):
    started = time.process_time()  # the imports, of which every training has about as many
    study = Study(snakemake.params.document, shipped(), snakemake.params.said)
    costs = Costs(study.config)
    wanted = plan(study, study.asked, Paces(costs, []))
    runs = [study.pretraining(jobs[0].run) for _, _, jobs in wanted.kinds()]
    found = calibrate(costs, runs, started, threads=snakemake.threads)
    write_json(CALIBRATION, found)
    print(f"phenoviews: {len(found['kinds'])} of {len(runs)} kinds of trainings on {found['device']}; {CALIBRATION}")
