"""A run with every setting that decides it, typed; and of these what each stage is given.

A stage names the sections that it uses, and is handed no others: so a setting reruns what depends on it and nothing
else, and a stage that came to use another section without saying so would not pass the type checker. `to_dict` and
`from_dict` are the way through Snakemake's parameters and YAML.

A section that joins here is no part of the stages that do not name it, and reruns none of them.
"""

# No `from __future__ import annotations` here: the types of fields are read, as the classes that they are.

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, Self

from phenoviews.errors import UserError

Colour = Literal["own"] | Sequence[float]
Pipeline = list[dict[str, dict[str, Any]]]

# Of a training's settings those that say how it is looked after while it runs: no other encoder comes of them, so that
# none is trained again for them.
TENDING = ("checkpoint_minutes", "watch_epochs")
# What its weights do not depend on.
INDIFFERENT = (*TENDING, "min_spread")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Named values. One with a default may be left out, and is left out where it has that default."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Raises `UserError` for a key that is missing or unknown."""
        known = {field.name: field.default is MISSING for field in fields(cls)}
        missing = [key for key, needed in known.items() if needed and key not in data]
        unknown = [key for key in data if key not in known]
        differences = {"missing": missing, "unknown": unknown}
        said = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in differences.items() if keys)
        if said:
            raise UserError(f"{cls.__name__.lower()} of a run: {said}; it has {', '.join(known)}")
        return cls(**{key: cls.read(key, value) for key, value in data.items()})

    @classmethod
    def read(cls, key: str, value: Any) -> Any:
        """The value of a key as it stands in a dict → as it stands here."""
        kind = cls.__dataclass_fields__[key].type
        return kind.from_dict(value) if isinstance(kind, type) and issubclass(kind, Part) else value

    def to_dict(self) -> dict[str, Any]:
        """Plain data in the order of the fields. Lists and mappings in it are shared, not copied."""
        values = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {key: _plain(value) for key, (value, default) in values.items() if value != default}


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return value.to_dict()
    return [_plain(one) for one in value] if isinstance(value, list) else value


# ------------------------------------------------------------------------------------------------------------- sections
@dataclass(frozen=True, kw_only=True)
class Dataset(Part):
    """Its name; how it is shown to a network: side in pixels, mean and standard deviation of values in [0, 1] per
    channel, and as how many channels (a grey image so many times); and the split that is embedded and measured, or
    "all"."""

    name: str
    size: int
    mean: Colour
    std: Colour
    evaluated: str
    channels: int = 3


@dataclass(frozen=True, kw_only=True)
class TransformSet(Part):
    """The weight of a loss, and the pipelines of the first and the second view."""

    weight: float
    views: Sequence[Pipeline]


@dataclass(frozen=True, kw_only=True)
class Transform(Part):
    name: str
    sets: Sequence[TransformSet]

    @classmethod
    def read(cls, key: str, value: Any) -> Any:
        return [TransformSet.from_dict(one) for one in value] if key == "sets" else value


@dataclass(frozen=True, kw_only=True)
class Method(Part):
    """`parameters`: those of the constructor of `methods.METHODS[kind]`, which stand beside `name` and `kind` in a
    dict."""

    name: str
    kind: str
    parameters: Mapping[str, Any]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        parameters = {key: value for key, value in data.items() if key not in ("name", "kind")}
        named = {key: value for key, value in data.items() if key not in parameters}
        return super().from_dict({**named, "parameters": parameters})

    def to_dict(self) -> dict[str, Any]:
        plain = super().to_dict()
        parameters: dict[str, Any] = plain.pop("parameters")
        return plain | parameters


@dataclass(frozen=True, kw_only=True)
class Training(Part):
    epochs: int
    batch_size: int
    optimizer: str
    lr: float
    lr_scaling: bool
    momentum: float
    weight_decay: float
    schedule: str
    warmup_epochs: int
    warmup_lr: float
    min_lr: float
    min_iters_per_epoch: int
    precision: str
    checkpoint_minutes: float
    min_spread: float
    keep: str
    snapshot_epochs: int
    lars_clip: bool = True
    watch_epochs: int = 0


@dataclass(frozen=True, kw_only=True)
class Backbone(Part):
    name: str
    kind: str
    stem: str
    width: float
    batch_norm: bool
    init: str
    zero_init_residual: bool = False
    prefix: str = ""
    channels: str = "together"
    # Of kind timm: its name of the model, its version, and for images of how many pixels.
    model: str = ""
    version: str = ""
    size: int = 0


@dataclass(frozen=True, kw_only=True)
class Probe(Part):
    """A linear classifier on frozen features."""

    transform: Pipeline
    epochs: int
    batch_size: int
    lr: float
    lr_scaling: bool
    momentum: float
    weight_decay: float
    milestones: Sequence[int]
    gamma: float

    @property
    def is_on_random_views(self) -> bool:
        """Whether it sees every image anew in each epoch; plain images are embedded once."""
        return [list(step) for step in self.transform] != [["normalize"]]


@dataclass(frozen=True, kw_only=True)
class FineTuning(Part):
    """A classifier that is trained together with the encoder below it."""

    transform: Pipeline
    training: Training

    def decisive(self) -> dict[str, Any]:
        """What decides the weights, as plain data."""
        return _leaving(self.to_dict(), INDIFFERENT)


# --------------------------------------------------------------------------------------------------------------- stages
@dataclass(frozen=True, kw_only=True)
class Stage(Part):
    """Sections and single values. The name is that of the run, for messages."""

    name: str

    @classmethod
    def of(cls, run: "Resolved") -> Self:
        """What this stage uses of a run."""
        return cls(**{field.name: getattr(run, field.name) for field in fields(cls)})


@dataclass(frozen=True, kw_only=True)
class Resolved(Stage):
    """All of a run. An encoder that nobody trains here has no `training`, and a recipe may have no `fine_tuning`.
    `evaluate`: `encoder` or `projector`, the output that is measured."""

    scale: str
    dataset: Dataset
    transform: Transform
    method: Method
    backbone: Backbone
    probe: Probe
    evaluate: str
    seed: int
    training: Training | None = None
    fine_tuning: FineTuning | None = None

    @classmethod
    def read(cls, key: str, value: Any) -> Any:
        optional: dict[str, type[Part]] = {"training": Training, "fine_tuning": FineTuning}
        return optional[key].from_dict(value) if key in optional else super().read(key, value)


@dataclass(frozen=True, kw_only=True)
class Pretraining(Stage):
    """`evaluate` is there only where the training depends on it: with `keep: best_ami`."""

    scale: str
    dataset: Dataset
    transform: Transform
    method: Method
    training: Training
    backbone: Backbone
    seed: int
    evaluate: str | None = None

    @classmethod
    def of(cls, run: Resolved) -> Self:
        if run.training is None:
            raise UserError(f"run '{run.name}': its method, {run.method.name}, trains nothing")
        values = {field.name: getattr(run, field.name) for field in fields(cls)}
        return cls(**(values if run.training.keep == "best_ami" else {**values, "evaluate": None}))

    def decisive(self) -> dict[str, Any]:
        """What decides the weights, as plain data: no names, and nothing that only records, watches or evaluates."""
        plain = self.to_dict()
        unused = {"dataset": ("name", "evaluated"), "training": INDIFFERENT}
        return {
            section: {key: value for key, value in plain[section].items() if key not in unused.get(section, ("name",))}
            for section in ("dataset", "transform", "method", "training", "backbone")
        } | {key: plain.get(key) for key in ("evaluate", "seed")}


def untended(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A stage with a training, as plain data, without `TENDING`."""
    return _leaving(stage, TENDING)


def _leaving(stage: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {**stage, "training": {key: value for key, value in stage["training"].items() if key not in keys}}


def tending(stage: Mapping[str, Any]) -> dict[str, Any]:
    """What `untended` leaves out."""
    return {key: value for key, value in stage["training"].items() if key in TENDING}


def tended(stage: Mapping[str, Any], tending: Mapping[str, Any]) -> dict[str, Any]:
    """Both again."""
    return {**stage, "training": {**stage["training"], **tending}}


@dataclass(frozen=True, kw_only=True)
class Embedding(Stage):
    dataset: Dataset
    transform: Transform
    method: Method
    backbone: Backbone
    evaluate: str


@dataclass(frozen=True, kw_only=True)
class FrozenEmbedding(Stage):
    """Of an encoder that nobody trains here."""

    dataset: Dataset
    backbone: Backbone
    seed: int
