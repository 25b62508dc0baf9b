"""How fast a kind of training is on a device: as measured, as probed, or scaled from what is known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from phenoviews.costs.finished import Finished
from phenoviews.errors import UserError
from phenoviews.files import read_json
from phenoviews.study import at_hand, resources
from phenoviews.study.plan import modelled, training_flop
from phenoviews.study.resolve import TIMM
from phenoviews.study.resolved import Pretraining

CALIBRATION = "results/calibration.json"
START = 20.0  # seconds of a job beside its steps, where nothing was measured

MEASURED, PROBED, SCALED, SHIPPED = "measured", "probed", "scaled", "shipped figure"


@dataclass(frozen=True)
class Kind:
    """What the time of a training's step depends on. Trainings of one kind differ in numbers (the strength of a
    transformation, a temperature, a rate) and in their seeds."""

    backbone: str
    size: int
    channels: int
    method: str
    heads: str
    views: str
    batch: int
    precision: str

    @classmethod
    def of(cls, run: Pretraining) -> Kind:
        backbone = run.backbone
        network = backbone.model if backbone.kind == TIMM else backbone.kind
        stem = "" if backbone.kind == TIMM else f", {backbone.stem} stem"
        width = f" × {backbone.width:g}" if backbone.width != 1 else ""
        each = ", each channel by itself" if backbone.channels == "each" else ""
        heads = {key: value for key, value in run.method.parameters.items() if isinstance(value, int | dict)}
        views = [[[*step] for view in one.views for step in view] for one in run.transform.sets]
        return cls(
            backbone=f"{network}{width}{stem}{each}",
            size=run.dataset.size,
            channels=run.dataset.channels,
            method=run.method.kind,
            heads=json.dumps(heads, sort_keys=True),
            views=" + ".join(" ".join(name for step in one for name in step) for one in views),
            batch=run.training.batch_size,
            precision=run.training.precision,
        )

    @property
    def name(self) -> str:
        sets = f", {self.views.count(' + ') + 1} sets of views" if " + " in self.views else ""
        return f"{self.backbone} · {self.size} px · {self.method} · batch {self.batch}{sets}"

    def likeness(self, other: Kind) -> tuple[bool, ...]:
        """How alike another kind is, for the order of kinds: what the time depends on most comes first."""
        keys = ("backbone", "size", "method", "batch", "views", "heads", "precision", "channels")
        return tuple(getattr(self, key) == getattr(other, key) for key in keys)


def told_apart(kinds: Sequence[Kind]) -> list[str]:
    """The name of each kind; where several have the same, with what it has not or has otherwise than the first: of an
    audit's settings the operations that its views lack."""
    names = []
    for kind in kinds:
        alike = [other for other in kinds if other.name == kind.name]
        operations = dict.fromkeys(name for other in alike for name in other.views.split() if name != "+")
        lacks = [name.replace("_", " ") for name in operations if name not in kind.views.split()]
        first, its = _leaves(json.loads(alike[0].heads)), _leaves(json.loads(kind.heads))
        other_heads = [f"{key} {value}" for key, value in its.items() if value != first.get(key, value)]
        more = [*([f"without {', '.join(lacks)}"] if lacks else []), *other_heads]
        names.append(" · ".join([kind.name, *more]))
    return names


def _leaves(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= _leaves(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return found


@dataclass(frozen=True)
class Measurement:
    """Seconds that an image of a kind of training took (`origin`: in a run, or in a probe), and what the model of its
    cost says: FLOP, and seconds by the shipped figures."""

    kind: Kind
    origin: str
    seconds: float
    flop: float
    modelled: float
    memory_gb: float | None = None


@dataclass(frozen=True)
class Pace:
    """Seconds per image of a kind of training, and where that is from."""

    seconds: float
    origin: str
    memory_gb: float | None = None


class Costs:
    """What the model of a training's cost needs of a study: `gmacs`, by the backbone's kind, and `resources`."""

    def __init__(self, config: Mapping[str, Any]):
        self.resources: Mapping[str, Any] = config["resources"]
        self.gmacs: dict[str, float] = {}
        self.of_timm = {entry["model"] for entry in config["backbones"].values() if entry.get("kind") == TIMM}
        for entry in config["backbones"].values():
            if entry.get("kind", TIMM) != TIMM:
                self.gmacs.setdefault(entry["kind"], entry["gmacs"])

    def flop(self, run: Pretraining) -> float:
        """Of an image of a training."""
        return training_flop(run, self._gmacs(run))

    def modelled(self, run: Pretraining) -> float:
        """Seconds per image by the shipped figures."""
        return modelled(run, self._gmacs(run), self.resources)

    def tells(self, run: Pretraining) -> bool:
        """Whether the study knows what the backbone of a training that was found costs."""
        if run.backbone.kind == TIMM:
            return run.backbone.model in self.of_timm and run.backbone.version == resources.timm_version()
        return run.backbone.kind in self.gmacs

    def _gmacs(self, run: Pretraining) -> float:
        if run.backbone.kind == TIMM:
            return at_hand.facts(run.backbone, run.dataset.channels).gmacs
        return self.gmacs[run.backbone.kind]


class Paces:
    """The paces of one device.

    Args:
        at_hand: trainings that have ended, on any device.
        calibration: as `calibration` reads it, of this device; without one it is the device that most were trained on.
    """

    def __init__(self, costs: Costs, at_hand: Sequence[Finished], calibration: Mapping[str, Any] | None = None):
        self.costs = costs
        devices = Counter(one.device for one in at_hand)
        common = devices.most_common(1)[0][0] if devices else ""
        self.device: str = calibration["device"] if calibration else common
        here = [one for one in at_hand if one.device == self.device and not one.failed]
        self.elsewhere = len(at_hand) - devices[self.device]
        self.runs, self.calibrated = len(here), calibration["when"] if calibration else ""
        self._known = [*_of_runs(costs, here), *(_of_probes(calibration) if calibration else [])]
        starts = [
            one.job_seconds - one.seconds
            for one in here
            if one.job_seconds is not None and one.job_seconds > one.seconds
        ]
        probed = calibration["start_seconds"] if calibration else START
        self.start: float = median(starts) if starts else probed
        self._on_cpu = self.device.startswith("cpu")
        self._found: dict[Kind, Pace] = {}

    def of(self, run: Pretraining) -> Pace:
        """The pace of a kind of training: measured in runs of the kind, or in its probe, or scaled, by what is to be
        computed, from those of the kinds that are most alike; without any the shipped figure."""
        kind = Kind.of(run)
        if kind not in self._found:
            self._found[kind] = self._pace(kind, run)
        return self._found[kind]

    def _pace(self, kind: Kind, run: Pretraining) -> Pace:
        for origin in (MEASURED, PROBED):
            same = [one for one in self._known if one.kind == kind and one.origin == origin]
            if same:
                memory = [one.memory_gb for one in same if one.memory_gb is not None]
                return Pace(median(one.seconds for one in same), origin, max(memory, default=None))
        if not self._known:
            return Pace(self.costs.modelled(run), SHIPPED)
        return Pace(self._ratio(kind) * self._model(self.costs.flop(run), self.costs.modelled(run)), SCALED)

    def forward(self, run: Pretraining | None, flop: float) -> float:
        """Seconds of an image's way through a backbone, `flop` of it; `run`: the training of that backbone, if any."""
        if run is not None:
            return self.of(run).seconds * flop / self.costs.flop(run)
        if not self._known:
            return float(flop / (self.costs.resources["sustained_tflops"] * 1e12))
        return flop * median(one.seconds / one.flop for one in self._known)

    def origin(self) -> str:
        """Where the paces are from, in a sentence."""
        if not self._known:
            return (
                f"Throughput: the shipped figures, {self.costs.resources['sustained_tflops']:g} TFLOP/s sustained and "
                f"{self.costs.resources['step_ms']:g} ms for a step at least; nothing was measured on your device. "
                "`snakemake calibrate` measures it in a minute."
            )
        parts = [f"{self.runs} finished trainings"] if self.runs else []
        parts += [f"`snakemake calibrate` of {self.calibrated}"] if self.calibrated else []
        left = f"; {self.elsewhere} trainings on other devices were left aside" if self.elsewhere else ""
        return f"Throughput: on {self.device}, from {' and '.join(parts)}{left}."

    def _ratio(self, kind: Kind) -> float:
        """How many times the modelled seconds the kinds took that are most alike."""
        nearest = max(kind.likeness(one.kind) for one in self._known)
        alike = [one for one in self._known if kind.likeness(one.kind) == nearest]
        return median(one.seconds / self._model(one.flop, one.modelled) for one in alike)

    def _model(self, flop: float, modelled: float) -> float:
        """What is scaled by: a CPU takes no least time for a step."""
        return flop if self._on_cpu else modelled


def calibration(file: Path = Path(CALIBRATION)) -> dict[str, Any] | None:
    """What `snakemake calibrate` found; None where it was not called.

    Raises:
        UserError: a file that is none of its.
    """
    if not file.exists():
        return None
    try:
        found: dict[str, Any] = read_json(file)
        _of_probes(found)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: is no calibration ({error}); delete it, or run `snakemake calibrate`") from None
    return found


def measurement(costs: Costs, run: Pretraining, seconds: float, origin: str, memory_gb: float | None) -> Measurement:
    """`seconds`: per image."""
    return Measurement(Kind.of(run), origin, seconds, costs.flop(run), costs.modelled(run), memory_gb)


def plain(found: Measurement) -> dict[str, Any]:
    """A measurement as it stands in the calibration."""
    return asdict(found)


def _of_probes(calibration: Mapping[str, Any]) -> list[Measurement]:
    return [Measurement(**{**one, "kind": Kind(**one["kind"])}) for one in calibration["kinds"]]


def _of_runs(costs: Costs, here: Iterable[Finished]) -> list[Measurement]:
    return [
        measurement(costs, one.run, 1 / one.images_per_s, MEASURED, one.memory_gb)
        for one in here
        if one.images_per_s > 0 and costs.tells(one.run)
    ]
