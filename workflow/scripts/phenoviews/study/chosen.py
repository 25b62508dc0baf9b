"""Of each of the library's registries, what a job chooses: a rule depends on that, and on nothing else in it."""

from __future__ import annotations

from collections.abc import Iterable

from phenoviews.study.resolve import Resolver
from phenoviews.study.resolved import Pipeline, Pretraining
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
SWEEPS = "phenoviews.panels.sweeps.SWEEPS"
FIGURES = "phenoviews.panels.figures.FIGURES"
EMBEDDED = "phenoviews.measures.embedded.EMBEDDED"
CLUSTERED = "phenoviews.measures.clustered.CLUSTERED"
ENCODED = "phenoviews.training.encoded.ENCODED"

# The operations of evaluated images, which are resized and normalised, nothing else.
EVALUATION = frozenset({"normalize"})


def kind(study: Resolver, section: str, name: str) -> list[str]:
    """The kind of an entry."""
    return [study.entry(section, name)["kind"]]


def method(study: Resolver, run: Run) -> list[str]:
    """The kind of a run's method; nothing of the methods where it is an encoder that nobody trains here."""
    return [study.resolve(run).method.kind] if study.is_trained(run) else []


def backbone(study: Resolver, run: Run) -> list[str]:
    """The kind of a run's backbone."""
    return [study.resolve(run).backbone.kind]


def optimizer(study: Resolver, run: Run) -> list[str]:
    """Of a training."""
    return [Pretraining.of(study.resolve(run)).training.optimizer]


def schedule(study: Resolver, run: Run) -> list[str]:
    """Of a training."""
    return [Pretraining.of(study.resolve(run)).training.schedule]


def keeper(study: Resolver, run: Run) -> list[str]:
    """Which weights a training keeps."""
    return [Pretraining.of(study.resolve(run)).training.keep]


def training_operations(study: Resolver, transform: str) -> set[str]:
    """The operations of a transform, of which `normalize` is always one."""
    return _operations(pipeline for one in study.sets(transform) for pipeline in one["views"])


def probe_operations(study: Resolver, run: Run) -> set[str]:
    """The operations of evaluated images, and those that the linear probe is trained with."""
    return {*EVALUATION, *_operations([study.resolve(run).probe.transform])}


def fine_tuning_operations(study: Resolver, run: Run) -> set[str]:
    """The operations of evaluated images, and those that a fine-tuning trains with."""
    return {*EVALUATION, *_operations([study.fine_tuning(run).transform])}


def fine_tuning_optimizer(study: Resolver, run: Run) -> list[str]:
    """Of a fine-tuning."""
    return [study.fine_tuning(run).training.optimizer]


def fine_tuning_schedule(study: Resolver, run: Run) -> list[str]:
    """Of a fine-tuning."""
    return [study.fine_tuning(run).training.schedule]


def _operations(pipelines: Iterable[Pipeline]) -> set[str]:
    return {operation for pipeline in pipelines for step in pipeline for operation in step}
