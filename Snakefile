# phenoviews: which views make a self-supervised encoder keep the phenotype?
#
#   snakemake                              everything, at demo scale: minutes on a laptop
#   snakemake no_free_lunch_table1         one panel, and only what it needs
#   snakemake --list-target-rules          the panels
#   snakemake -n --config scale=paper      what the papers' own scale would take
#   snakemake --profile slurm              the papers' own scale, on a cluster

from snakemake.utils import min_version

min_version("9.9")


configfile: "config.yaml"
configfile: "config/panels/no_free_lunch.yaml"
configfile: "config/panels/single_cell.yaml"


include: "workflow/rules/common.smk"


rule all:
    input:
        panel_files(study.config["panels"]),
    localrule: True


include: "workflow/rules/data.smk"
include: "workflow/rules/cells.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/measures.smk"
include: "workflow/rules/panels.smk"
