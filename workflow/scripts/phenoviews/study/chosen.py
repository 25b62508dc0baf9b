"""Of each of the library's registries, what a job chooses: a rule depends on that, and on nothing else in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from phenoviews.study.resolve import Resolver
from phenoviews.study.resolved import Pipeline, Pretraining, Training
from phenoviews.study.run import Run

READERS = "phenoviews.data.readers.READERS"
SCREEN_READERS = "phenoviews.cells.screen.READERS"
CHOOSERS = "phenoviews.cells.choosers.CHOOSERS"
OPERATIONS = "phenoviews.views.OPERATIONS"
METHODS = "phenoviews.methods.METHODS"
BACKBONES = "phenoviews.models.backbones.BACKBONES"
OPTIMIZERS = "phenoviews.training.optim.OPTIMIZERS"
SCHEDULES = "phenoviews.training.optim.SCHEDULES"
KEEPERS = "phenoviews.training.loop.KEEPERS"
WATCHED = "phenoviews.training.watch.WATCHED"
SWEEPS = "phenoviews.panels.sweeps.SWEEPS"
FIGURES = "phenoviews.panels.figures.FIGURES"
EMBEDDED = "phenoviews.measures.embedded.EMBEDDED"
CLUSTERED = "phenoviews.measures.clustered.CLUSTERED"
ENCODED = "phenoviews.training.encoded.ENCODED"
PROFILED = "phenoviews.profiles.run.PROFILED"
PROBED = "phenoviews.training.on_the_way.PROBED"

# Those of them that are of encoders that a training had on its way.
BY_EPOCH_OF = {
    PROBED: ("probe",),
    ENCODED: ("alignment", "knn"),
    EMBEDDED: ("rankme", "uniformity"),
    PROFILED: ("scores", "structure"),
}
MEASURED_BY_EPOCH = tuple(name for of in BY_EPOCH_OF.values() for name in of)

# The operations of evaluated images, which are resized and normalised, nothing else.
EVALUATION = frozenset({"normalize"})


def kind(study: Resolver, section: str, name: str) -> list[str]:
    """The kind of an entry."""
    return [study.entry(section, name)["kind"]]


def embedded_with(study: Resolver, run: Run) -> dict[str, Collection[str]]:
    """What makes an encoder that is measured, and the operations of evaluated images.

    Nothing of the methods where it is an encoder that nobody trains here.
    """
    resolved = study.resolve(run)
    return {
        METHODS: [resolved.method.kind] if study.is_trained(run) else [],
        BACKBONES: [resolved.backbone.kind],
        OPERATIONS: EVALUATION,
    }


def measured_with(study: Resolver, run: Run, measure: str) -> dict[str, Collection[str]]:
    """Of a measure of `ENCODED`: the encoder, the measure, and the operations of the views that it needs."""
    shown = {
        operation for one in study.measure_settings(measure).get("sets", ()) for operation in _operations(one["views"])
    }
    return {**embedded_with(study, run), ENCODED: [measure], OPERATIONS: EVALUATION | shown}


def probed_with(study: Resolver, run: Run) -> dict[str, Collection[str]]:
    """And the operations that the linear probe is trained with."""
    return embedded_with(study, run) | {OPERATIONS: EVALUATION | _operations([study.resolve(run).probe.transform])}


def measured_on_the_way_with(study: Resolver, run: Run, measure: str) -> dict[str, Collection[str]]:
    """Of a measure of the encoders that a training had on its way: of each registry what the measure itself needs."""
    chosen = probed_with(study, run) if measure == "probe" else measured_with(study, run, measure)
    return {**chosen, **{registry: [name for name in of if name == measure] for registry, of in BY_EPOCH_OF.items()}}


def trained_with(study: Resolver, run: Run) -> dict[str, Collection[str]]:
    """Of a training. What only watches it decides nothing."""
    return {
        **embedded_with(study, run),
        OPERATIONS: viewed_with(study, run.transform)[OPERATIONS],
        **_steps(Pretraining.of(study.resolve(run)).training),
        KEEPERS: [Pretraining.of(study.resolve(run)).training.keep],
        WATCHED: [],
    }


def fine_tuned_with(study: Resolver, run: Run) -> dict[str, Collection[str]]:
    """Of a training of the encoder together with a classifier, which keeps its last weights."""
    tuning = study.fine_tuning(run)
    return {
        **embedded_with(study, run),
        OPERATIONS: EVALUATION | _operations([tuning.transform]),
        **_steps(tuning.training),
        KEEPERS: [],
    }


def viewed_with(study: Resolver, transform: str) -> dict[str, Collection[str]]:
    """The operations of a transform, of which `normalize` is always one."""
    return {OPERATIONS: _operations(pipeline for one in study.sets(transform) for pipeline in one["views"])}


def _steps(training: Training) -> dict[str, Collection[str]]:
    return {OPTIMIZERS: [training.optimizer], SCHEDULES: [training.schedule]}


def _operations(pipelines: Iterable[Pipeline]) -> set[str]:
    return {operation for pipeline in pipelines for step in pipeline for operation in step}
