"""Everything that is measured: in which file it lies, of which data it can be had, and how it is printed.

These are the only lists of metrics and of dimensions: the schema of config.yaml, the rules and the panels are fed from
them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The data that a metric can be had of.
TEST, CELLS, TREATMENTS, ANY = "a labelled test split", "cells of one compound", "treatments", "any"

# What is better.
HIGHER, LOWER, NEITHER = "higher", "lower", "neither"

# The dimensions of every value: its run, and the one number that is overridden in the names of the run.
AXES = ["dataset", "transform", "method", "backbone"]
RUN = [*AXES, "seed"]
SWEPT = ["swept", "at"]

# Ends the name of a metric that no file holds: the difference to another run, which panels compute.
CHANGE = "_change"


@dataclass(frozen=True)
class Dimension:
    """What tells the values of a metric apart: its name in print, and its values'."""

    label: str
    unit: str = ""
    names: Mapping[str, str] = field(default_factory=dict)  # {value: what it is called}, in the order of tables
    blank: str = "all"  # what a metric that does not have this dimension is of
    follows: str = ""  # a dimension that decides this one: whoever names that has named this too


DIMENSIONS: dict[str, Dimension] = {
    "dataset": Dimension("dataset", blank=""),
    "transform": Dimension("transform", blank=""),
    "method": Dimension("method", blank=""),
    "backbone": Dimension("backbone", blank=""),
    "seed": Dimension("seed"),
    "swept": Dimension("setting", blank="none"),  # of `cifar+hue=0.25`: hue
    "at": Dimension("set to", blank="unchanged"),  # and 0.25
    "postprocessing": Dimension(
        "post-processing", names={"none": "No post-processing", "whitening": "Whitening", "tvn": "TVN"}
    ),
    "class": Dimension("class"),
    "superclass": Dimension("superclass"),
    "concentration": Dimension("concentration", "µM"),
    "dose": Dimension("dose rank", follows="concentration"),  # 1: the highest
    "compound": Dimension("compound"),
    "moa": Dimension("mechanism of action", follows="compound"),
    "epoch": Dimension("epochs trained"),
    "regime": Dimension("classifier", names={"linear": "linear", "fine-tuned": "fine-tuned"}),
    "split": Dimension("split", names={"train": "train", "val": "val", "test": "test"}),
    "at_least": Dimension("flagged in at least", "methods"),
    "property": Dimension(
        "class property",
        names={
            "intrinsic_dimension": "Intrinsic dimension",
            "texture": "Texture",
            "high_frequencies": "High frequencies (Fourier)",
            "eigenvalue": "Covariance spectrum",
        },
    ),
    "component": Dimension("component"),
    "k": Dimension("clusters"),
    "neighbours": Dimension("neighbours"),
    "nuisance": Dimension("what is told"),
}


@dataclass(frozen=True)
class Metric:
    """A metric: the measure whose file holds it, and what panels need to show it."""

    measure: str
    label: str
    data: str
    better: str
    unit: str = ""
    digits: int = 2
    signed: bool = False  # printed with its plus
    counts: str = ""  # what a percentage is of, where single ones matter: k of n is printed beside it
    dimensions: tuple[str, ...] = ()  # beside those of the run
    trained: bool = False  # only of encoders that are trained here
    # Of a whole sweep: measured of a panel's trainings together, for each seed by itself (`by_seed`) or of all of them.
    # The seed of the latter is 0; where they are `drawn`, each further one is a bootstrap draw over the seeds.
    of_sweep: bool = False
    by_seed: bool = False
    drawn: bool = False
    # Where a number is the outcome of a test, the side on which it shows something: LOW of a p, HIGH of a count of what
    # was shown. Claims are judged by that.
    test: str = ""


K = ("k",)
PROBED = ("regime", "split")
OF_CLASS = ("class", *PROBED)
OF_SUPERCLASS = ("superclass", *PROBED)
DOSE = ("concentration", "dose")
REGIME = ("regime",)
PROPERTY = ("property",)
PROFILED = ("postprocessing",)
ON_THE_WAY = (*PROFILED, "epoch")
OF_TREATMENT = ("postprocessing", "compound", "concentration", "moa")

LOW, HIGH = "low", "high"

# Measures of whole sweeps, and the measures of their runs that each is made from.
SOURCES: dict[str, tuple[str, ...]] = {
    "opposition": ("probe",),
    "superclasses": ("probe",),
    "spread": ("probe",),
    "ranges": ("probe",),
    "shared": ("probe",),
    "agreement": ("probe", "fine_tuning"),
    "association": ("probe", "properties"),
}


def _of_sweep(
    measure: str, label: str, unit: str = "", digits: int = 0, dimensions: tuple[str, ...] = REGIME, **more: Any
) -> Metric:
    return Metric(measure, label, TEST, NEITHER, unit, digits, dimensions=dimensions, of_sweep=True, **more)


METRICS: dict[str, Metric] = {
    "silhouette": Metric("clusters", "Silhouette", TEST, HIGHER, dimensions=K),
    "ami": Metric("clusters", "AMI", TEST, HIGHER, dimensions=K),
    "ami_change": Metric("clusters", "Change of AMI", TEST, HIGHER, signed=True, dimensions=K),
    "ami_arithmetic": Metric("clusters", "AMI (arithmetic)", TEST, HIGHER, dimensions=K),
    "hungarian_accuracy": Metric("clusters", "Cluster accuracy", TEST, HIGHER, dimensions=K),
    "thickness": Metric("strokes", "Stroke thickness", TEST, NEITHER, "px", 1, dimensions=K),
    "thickness_by_cluster": Metric("strokes", "Thickness by cluster", TEST, NEITHER, dimensions=K),
    "thickness_by_class": Metric("strokes", "Thickness by class", TEST, NEITHER, dimensions=K),
    "phenotype_purity": Metric("phenotypes", "Purity in phenotypes", CELLS, HIGHER, dimensions=K),
    "phenotype_purity_by_class": Metric("phenotypes", "Purity of the classes", CELLS, NEITHER, dimensions=K),
    "top1": Metric("probe", "Top-1", TEST, HIGHER, "%", 1, dimensions=PROBED),
    "accuracy": Metric("probe", "Accuracy", TEST, HIGHER, "%", 1, dimensions=OF_CLASS),
    "f1": Metric("probe", "F1", TEST, HIGHER, "%", 1, dimensions=OF_CLASS),
    "auroc": Metric("probe", "AUROC, one class against all others", TEST, HIGHER, digits=3, dimensions=OF_CLASS),
    "superclass_accuracy": Metric(
        "probe", "Accuracy of superclasses, mean over classes", TEST, HIGHER, "%", 1, dimensions=OF_SUPERCLASS
    ),
    "superclass_recognised": Metric(
        "probe", "Accuracy of superclasses, whichever class in it", TEST, HIGHER, "%", 1, dimensions=OF_SUPERCLASS
    ),
    "train_loss": Metric("probe", "Training loss", TEST, LOWER, digits=3, dimensions=("regime",)),
    "fine_tuned_top1": Metric("fine_tuning", "Top-1, fine-tuned", TEST, HIGHER, "%", 1, dimensions=PROBED),
    "fine_tuned_accuracy": Metric("fine_tuning", "Accuracy, fine-tuned", TEST, HIGHER, "%", 1, dimensions=OF_CLASS),
    "fine_tuned_auroc": Metric("fine_tuning", "AUROC, fine-tuned", TEST, HIGHER, digits=3, dimensions=OF_CLASS),
    "fine_tuned_f1": Metric("fine_tuning", "F1, fine-tuned", TEST, HIGHER, "%", 1, dimensions=OF_CLASS),
    "knn": Metric("knn", "kNN accuracy", TEST, HIGHER, "%", 1, dimensions=("neighbours", "split")),
    "rankme": Metric("rankme", "RankMe", ANY, HIGHER, digits=1),
    "uniformity": Metric("uniformity", "Uniformity", ANY, LOWER),
    "alignment": Metric("alignment", "Alignment of two views", ANY, LOWER, digits=3),
    "told": Metric(
        "nuisances", "Told by neighbours in other wells", ANY, NEITHER, "%", 1, signed=True, dimensions=("nuisance",)
    ),
    "top1_by_epoch": Metric(
        "probe_by_epoch", "Top-1", TEST, HIGHER, "%", 1, dimensions=(*PROBED, "epoch"), trained=True
    ),
    "knn_by_epoch": Metric(
        "knn_by_epoch", "kNN accuracy", TEST, HIGHER, "%", 1, dimensions=("neighbours", "split", "epoch"), trained=True
    ),
    "rankme_by_epoch": Metric("rankme_by_epoch", "RankMe", ANY, HIGHER, digits=1, dimensions=("epoch",), trained=True),
    "uniformity_by_epoch": Metric("uniformity_by_epoch", "Uniformity", ANY, LOWER, dimensions=("epoch",), trained=True),
    "alignment_by_epoch": Metric(
        "alignment_by_epoch", "Alignment of two views", ANY, LOWER, digits=3, dimensions=("epoch",), trained=True
    ),
    "lpips": Metric("lpips", "LPIPS", TEST, NEITHER),
    "lpips_sd": Metric("lpips", "SD of LPIPS over images", TEST, NEITHER),
    "ami_treated": Metric("doses", "AMI", CELLS, HIGHER, dimensions=DOSE),
    "ami_random_labels": Metric("doses", "AMI, labels shuffled", CELLS, NEITHER, dimensions=DOSE),
    "ami_random_most": Metric("doses", "AMI, labels shuffled, 95 % at most", CELLS, NEITHER, dimensions=DOSE),
    "cells": Metric("doses", "Cells of either class", CELLS, NEITHER, digits=0, dimensions=DOSE),
    "nsc": Metric("scores", "NSC", TREATMENTS, HIGHER, "%", 1, counts="treatment", dimensions=PROFILED),
    "nscb": Metric("scores", "NSCB", TREATMENTS, HIGHER, "%", 1, counts="treatment", dimensions=PROFILED),
    "drop": Metric("scores", "Drop", TREATMENTS, LOWER, "points", 1, counts="treatment", dimensions=PROFILED),
    "nsc_by_epoch": Metric(
        "scores_by_epoch", "NSC", TREATMENTS, HIGHER, "%", 1, counts="treatment", dimensions=ON_THE_WAY, trained=True
    ),
    "nscb_by_epoch": Metric(
        "scores_by_epoch", "NSCB", TREATMENTS, HIGHER, "%", 1, counts="treatment", dimensions=ON_THE_WAY, trained=True
    ),
    "nsc_right": Metric("scores", "Right by NSC", TREATMENTS, HIGHER, dimensions=OF_TREATMENT),
    "nscb_right": Metric("scores", "Right by NSCB", TREATMENTS, HIGHER, dimensions=OF_TREATMENT),
    "map_replicates": Metric("structure", "mAP of replicates", TREATMENTS, HIGHER, dimensions=PROFILED),
    "map_moas": Metric("structure", "mAP of MoAs", TREATMENTS, HIGHER, dimensions=PROFILED),
    "map_moas_other_batch": Metric("structure", "mAP of MoAs, other weeks", TREATMENTS, HIGHER, dimensions=PROFILED),
    "map_replicates_by_epoch": Metric(
        "structure_by_epoch", "mAP of replicates", TREATMENTS, HIGHER, dimensions=ON_THE_WAY, trained=True
    ),
    "map_moas_by_epoch": Metric(
        "structure_by_epoch", "mAP of MoAs", TREATMENTS, HIGHER, dimensions=ON_THE_WAY, trained=True
    ),
    "map_moas_other_batch_by_epoch": Metric(
        "structure_by_epoch", "mAP of MoAs, other weeks", TREATMENTS, HIGHER, dimensions=ON_THE_WAY, trained=True
    ),
    "chance_replicates": Metric("structure", "mAP of replicates by chance", TREATMENTS, NEITHER, dimensions=PROFILED),
    "chance_moas": Metric("structure", "mAP of MoAs by chance", TREATMENTS, NEITHER, dimensions=PROFILED),
    "chance_moas_other_batch": Metric(
        "structure", "mAP of MoAs, other weeks by chance", TREATMENTS, NEITHER, dimensions=PROFILED
    ),
    "found_replicates": Metric(
        "structure", "Treatments above chance", TREATMENTS, HIGHER, digits=0, dimensions=PROFILED
    ),
    "found_moas": Metric("structure", "MoAs above chance", TREATMENTS, HIGHER, digits=0, dimensions=PROFILED),
    "found_moas_other_batch": Metric(
        "structure", "MoAs above chance, other weeks", TREATMENTS, HIGHER, digits=0, dimensions=PROFILED
    ),
    "share_batch": Metric("structure", "Variance by week", TREATMENTS, LOWER, dimensions=PROFILED),
    "share_plate": Metric("structure", "Variance by plate", TREATMENTS, LOWER, dimensions=PROFILED),
    "share_batch_all": Metric("structure", "Variance of all wells by week", TREATMENTS, NEITHER, dimensions=PROFILED),
    "share_plate_all": Metric("structure", "Variance of all wells by plate", TREATMENTS, NEITHER, dimensions=PROFILED),
    # *No Free Lunch*, appendix C, and what it lacks; `phenoviews.curves` has how they are counted.
    "opposed": _of_sweep("opposition", "Classes with an opposite, as published", "%", 0, counts="class", drawn=True),
    "opposed_by_chance": _of_sweep("opposition", "The same if nothing depends on the value", "%"),
    "opposed_without_class": _of_sweep("opposition", "The same if all classes follow the overall curve", "%"),
    "opposed_excess": _of_sweep("opposition", "Excess over that", "points", 0, signed=True, drawn=True),
    "opposed_p": _of_sweep("opposition", "p that noise counts as many", digits=3, test=LOW),
    "rising": _of_sweep("opposition", "Classes that rise", "%", counts="class"),
    "falling": _of_sweep("opposition", "Classes that fall", "%", counts="class"),
    "opposed_honest": _of_sweep("opposition", "Classes with an opposite, honestly", "%", counts="class", test=HIGH),
    "opposed_in_part": _of_sweep("opposition", "Opposite pairs, in all or half of the range", test=HIGH),
    "replicated_pairs": _of_sweep("opposition", "Pairs that replicate", digits=1),
    "replicated_by_chance": _of_sweep("opposition", "Pairs that replicate by chance", digits=1),
    "boundary_pairs": _of_sweep("opposition", "Pairs opposed in accuracy but not in AUROC"),
    "opposed_superclasses": _of_sweep("superclasses", "Opposite pairs of superclasses", test=HIGH),
    "shared": _of_sweep(
        "shared", "Classes with an opposite", "%", counts="class", dimensions=("at_least", "regime"), drawn=True
    ),
    "shared_by_chance": _of_sweep(
        "shared", "The same if nothing depends on the value", "%", dimensions=("at_least", "regime")
    ),
    "shared_without_class": _of_sweep(
        "shared", "The same if all classes follow the overall curve", "%", dimensions=("at_least", "regime")
    ),
    "shared_excess": _of_sweep(
        "shared", "Excess over that", "points", signed=True, dimensions=("at_least", "regime"), drawn=True
    ),
    "shared_p": _of_sweep(
        "shared", "p that noise counts as many", digits=3, dimensions=("at_least", "regime"), test=LOW
    ),
    "behaviour_match": _of_sweep(
        "agreement", "Classes that behave alike", "%", counts="class", dimensions=(), drawn=True
    ),
    "behaviour_kappa": _of_sweep("agreement", "The same beyond chance (κ)", digits=2, dimensions=()),
    "behaviour_ceiling": _of_sweep("agreement", "The same between halves of the seeds", "%", dimensions=()),
    "behaviour_match_honest": _of_sweep(
        "agreement", "Classes that behave alike, honestly", "%", counts="class", dimensions=()
    ),
    "association_f": _of_sweep("association", "F", digits=2, dimensions=PROPERTY),
    "association_p": _of_sweep("association", "p as published", digits=3, dimensions=PROPERTY, test=LOW),
    "association_permuted": _of_sweep("association", "p by permuting classes", digits=3, dimensions=PROPERTY),
    "association_holm": _of_sweep(
        "association", "the same, corrected for all of them (Holm)", digits=3, dimensions=PROPERTY, test=LOW
    ),
    "association_within": _of_sweep(
        "association", "p by permuting classes within superclasses", digits=3, dimensions=PROPERTY
    ),
    "top1_mean": _of_sweep("spread", "Mean of top-1", "%", 2, dimensions=REGIME, by_seed=True),
    "top1_std": _of_sweep("spread", "Std of top-1 over values", "points", 2, drawn=True),
    "top1_std_runs": _of_sweep("spread", "Std of top-1 over all trainings", "points", 2),
    "top1_within": _of_sweep("spread", "Values of top-1 differ by at most", "points", 2, test=LOW),
    "top1_beyond": _of_sweep("spread", "Values of top-1 differ by at least", "points", 2, test=HIGH),
    "range_overall": _of_sweep("ranges", "Range of top-1, cross-fitted", "points", 1, by_seed=True),
    "range_classes": _of_sweep(
        "ranges", "Range of the ten most affected classes, cross-fitted", "points", 1, by_seed=True
    ),
    "class_gain": _of_sweep(
        "ranges",
        "Change of a class from end to end",
        "points",
        1,
        signed=True,
        dimensions=("class", "regime"),
        by_seed=True,
    ),
    **{
        name: Metric("properties", label, TEST, NEITHER, digits=digits, dimensions=dimensions)
        for name, label, digits, dimensions in (
            ("intrinsic_dimension", "Intrinsic dimension", 1, ("class",)),
            ("texture", "Contrast of grey levels", 1, ("class",)),
            ("high_frequencies", "Share of high frequencies", 3, ("class",)),
            ("eigenvalue", "Eigenvalue of the covariance", 3, ("class", "component")),
        )
    },
}


# Ends the name of a metric of the encoders that a training had on its way, and of the measure that holds it.
BY_EPOCH = "_by_epoch"

# Of an audit's trainings together, from their embeddings; no file holds it.
AGREEMENT = "agreement"
BETWEEN_SEEDS = {AGREEMENT: Metric("", "Agreement between seeds, linear CKA", ANY, HIGHER)}

# What an audit may count by: these metrics, and words for who it is for, each with the metrics of which the first that
# could be measured counts.
COUNTABLE = (
    *("top1", "knn", "ami", "map_replicates", "map_moas", "map_moas_other_batch", "nsc", "nscb"),
    *("rankme", "alignment", "uniformity", AGREEMENT),
)
OBJECTIVES: dict[str, tuple[str, ...]] = {
    "labels": ("top1",),
    "treatments": ("map_moas_other_batch", "map_moas", "map_replicates"),
    "none": ("rankme",),
    **{name: (name,) for name in COUNTABLE},
}


def counted(name: str) -> Metric:
    """What is known of a metric that an audit may count by."""
    return {**METRICS, **BETWEEN_SEEDS}[name]


def on_the_way(name: str) -> str:
    """The measure of the encoders that a training had on its way that holds a metric; "" where none does."""
    metric = METRICS.get(name + BY_EPOCH)
    return metric.measure if metric else ""


def measured(measure: str) -> list[str]:
    """The metrics that the file of a measure holds."""
    return [name for name, metric in METRICS.items() if metric.measure == measure and not name.endswith(CHANGE)]
