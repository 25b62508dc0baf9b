# phenoviews: which views make a self-supervised encoder keep the phenotype?
#
#   snakemake                              everything, at demo scale: minutes on a laptop; and the page
#   snakemake report                       the page: all panels, claims, runs and plates, for a browser
#   snakemake no_free_lunch_table1         one panel, and only what it needs
#   snakemake --list-target-rules          the panels
#   snakemake plan --config scale=paper    what the papers' own scale would take, panel by panel
#   snakemake --profile slurm              the papers' own scale, on a cluster

from pathlib import Path

from snakemake.utils import min_version

min_version("9.9")


# The study is config.yaml with config/panels/, beside this file. A config.yaml where Snakemake is called is laid over it,
# and over that --configfile and --config.
if Path("config.yaml").exists():

    configfile: "config.yaml"


# The first page of `snakemake --report`.
report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


rule all:
    input:
        panel_files(study.asked),
        [PAGE.format(scale=scale) for scale in study.at_work],
    localrule: True


# With `partial: true` panels are drawn from what is there, and nothing is made for them.
if not study.config["partial"]:

    include: "workflow/rules/data.smk"
    include: "workflow/rules/cells.smk"
    include: "workflow/rules/training.smk"
    include: "workflow/rules/measures.smk"


include: "workflow/rules/panels.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/costs.smk"


onstart:
    note_what_is_asked()
    look_only_when_a_job_ends()
