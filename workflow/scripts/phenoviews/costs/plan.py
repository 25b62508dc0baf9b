"""The plan of a study: what its panels cost, together and each by itself, before anything of it runs.

A job is what a panel needs on a GPU: a training, or what is measured of an encoder there. It is named by its file, so
what several panels need is one job, and counted once in every sum. Jobs that are done cost nothing any more.
"""

from __future__ import annotations

import functools
import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from phenoviews.costs import sizes
from phenoviews.costs.finished import Finished, finished
from phenoviews.costs.paces import Kind, Pace, Paces
from phenoviews.study import Study, paths
from phenoviews.study.audits import Design, ladder
from phenoviews.study.metrics import BY_EPOCH
from phenoviews.study.panel import Panel
from phenoviews.study.plan import UNKNOWN, design, forward_flop, gmacs_of, images, is_guessed, sweep_sources
from phenoviews.study.run import Run

TRAINING = "training"
# The measures that are made on a GPU, and what a page calls them; LPIPS, of some thousand images, costs a start.
ON_GPU = {"probe": "probe", "fine_tuning": "fine-tuning", "knn": "kNN", "alignment": "alignment",
          "lpips": "LPIPS", "probe_by_epoch": "probe on the way", "knn_by_epoch": "kNN on the way",
          "alignment_by_epoch": "alignment on the way", "rankme_by_epoch": "RankMe on the way",
          "uniformity_by_epoch": "uniformity on the way", "scores_by_epoch": "scores on the way",
          "structure_by_epoch": "mAP on the way"}  # fmt: skip
EMBEDDING = "embedding"
ALIGNED = 2000  # images at most, each in two views; `training.alignment.MOST`, whose module needs torch
GPUS = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Job:
    """What runs on one GPU. `seconds`: all of it, whether it is done or not; `kind`, `images`, `steps`, `pflop`,
    `memory_mb` (of the host) and `gpu_gb` of a training; `disk_mb` of what it writes."""

    file: str
    what: str
    run: Run
    seconds: float
    done: bool
    disk_mb: float = 0.0
    kind: Kind | None = None
    pace: Pace | None = None
    epochs: int = 0
    steps: int = 0
    images: int = 0
    pflop: float = 0.0
    memory_mb: int = 0

    @property
    def left(self) -> float:
        """Seconds that it is yet to take."""
        return 0.0 if self.done else self.seconds


@dataclass(frozen=True)
class Sum:
    """What jobs come to."""

    trainings: int = 0
    trained: int = 0
    epochs: int = 0
    steps: int = 0
    images: int = 0
    pflop: float = 0.0
    hours: float = 0.0
    hours_left: float = 0.0
    training_hours: float = 0.0
    disk_gb: float = 0.0
    memory_gb: float = 0.0
    gpu_gb: float | None = None

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> Sum:
        jobs = list(jobs)
        trainings = [job for job in jobs if job.what == TRAINING]
        memory = [job.pace.memory_gb for job in trainings if job.pace and job.pace.memory_gb is not None]
        return cls(
            trainings=len(trainings),
            trained=sum(job.done for job in trainings),
            epochs=sum(job.epochs for job in jobs),
            steps=sum(job.steps for job in jobs),
            images=sum(job.images for job in jobs),
            pflop=sum(job.pflop for job in jobs),
            hours=sum(job.seconds for job in jobs) / 3600,
            hours_left=sum(job.left for job in jobs) / 3600,
            training_hours=sum(job.seconds for job in trainings) / 3600,
            disk_gb=sum(job.disk_mb for job in jobs) / 1e3,
            memory_gb=max((job.memory_mb for job in trainings), default=0) / 1e3,
            gpu_gb=max(memory, default=None),
        )


@dataclass(frozen=True)
class PanelCost:
    """Of a panel: its jobs by their files; its datasets; the weights of torchvision's that it needs."""

    panel: Panel
    jobs: Mapping[str, Job]
    datasets: Sequence[str]
    weights: Sequence[str]
    shared: int = 0  # of its trainings, those that other panels of the plan need as well


@dataclass
class Plan:
    """Of the panels that were asked for."""

    study: Study
    paces: Paces
    panels: list[PanelCost]
    jobs: dict[str, Job] = field(default_factory=dict)

    @property
    def total(self) -> Sum:
        return Sum.of(self.jobs.values())

    def data_gb(self) -> float:
        """Of the arrays of all datasets."""
        names = dict.fromkeys(name for one in self.panels for name in one.datasets)
        return sum(sizes.array_mb(self.study, name) for name in names) / 1e3

    def audits(self) -> list[tuple[Panel, Design, int]]:
        """Its audits: what each trains, and for how many epochs."""
        found = []
        for panel in (one.panel for one in self.panels if one.panel.is_audit):
            there = self.study.of(panel)
            trained = next(run for run in there.runs(panel) if there.is_trained(run))
            found.append((panel, design(there, panel), there.load(trained).epochs))
        return found

    def guesses(self) -> list[str]:
        """What is planned for without being known, a sentence each."""
        names = dict.fromkeys(name for one in self.panels for name in one.datasets)
        lines = []
        for name in filter(functools.partial(is_guessed, self.study), names):
            path = self.study.entry("datasets", name).get("path")
            what = f"images dataset '{name}' has, for {path} is not there" if path else f"cells '{name}' will have"
            remedy = "Correct the path, or say how many" if path else "Say about how many"
            lines.append(f"Nothing says how many {what}: {UNKNOWN:,} are assumed. {remedy} with `images`.")
        return lines

    def downloads(self) -> list[tuple[str, str, float | None]]:
        """See `sizes.downloads`."""
        datasets = dict.fromkeys(name for one in self.panels for name in one.datasets)
        weights = dict.fromkeys(name for one in self.panels for name in one.weights)
        return list(sizes.downloads(self.study, [*datasets], [*weights]))

    def kinds(self) -> list[tuple[Kind, Pace, list[Job]]]:
        """The kinds of its trainings, the costliest first: each with its pace and its trainings."""
        found: dict[Kind, list[Job]] = {}
        for job in self.jobs.values():
            if job.kind:
                found.setdefault(job.kind, []).append(job)
        of = [(kind, jobs[0].pace, jobs) for kind, jobs in found.items() if jobs[0].pace]
        return sorted(of, key=lambda one: -sum(job.seconds for job in one[2]))

    def wall_hours(self, gpus: int) -> float:
        """Hours that what is left takes on so many GPUs, the longest job first."""
        free = [0.0] * gpus
        for job in sorted(self.jobs.values(), key=lambda job: -job.left):
            heapq.heappush(free, heapq.heappop(free) + job.left)
        return max(free) / 3600

    def within(self, budget: float) -> tuple[list[PanelCost], float]:
        """Panels that cost no more than `budget` GPU-hours together, and what they cost: always the one next that adds
        least, since what another has trained already is shared. That is a good choice; the best of all can be dearer
        to find than it saves."""
        chosen: list[PanelCost] = []
        paid: set[str] = set()
        spent, open_ = 0.0, list(self.panels)
        while open_:
            adds = [(_hours_left(one.jobs.values(), paid), at) for at, one in enumerate(open_)]
            least, at = min(adds)
            if spent + least > budget:
                break
            spent += least
            chosen.append(open_.pop(at))
            paid |= chosen[-1].jobs.keys()
        return chosen, spent


def _hours_left(jobs: Iterable[Job], paid: Collection[str]) -> float:
    return sum(job.left for job in jobs if job.file not in paid) / 3600


def plan(study: Study, panels: Iterable[Panel], paces: Paces) -> Plan:
    """The plan of some panels of a study, of which each is at its own scale."""
    planners = {scale: _Planner(study.at(scale), paces) for scale in study.at_work}
    panels = list(panels)
    for panel in panels:
        there = study.of(panel)
        its_runs = [*study.runs(panel), *study.to_come(panel)[0]]
        planners[there.scale].look([run for run in its_runs if there.is_trained(run)])
    costs = [planners[study.of(panel).scale].cost(panel, study) for panel in panels]
    needed = Counter(file for one in costs for file, job in one.jobs.items() if job.what == TRAINING)
    costs = [
        PanelCost(one.panel, one.jobs, one.datasets, one.weights, sum(needed[file] > 1 for file in one.jobs))
        for one in costs
    ]
    return Plan(study, paces, costs, {file: job for one in costs for file, job in one.jobs.items()})


class _Planner:
    """The jobs of panels at one scale. Every job is made once."""

    def __init__(self, study: Study, paces: Paces):
        self.study, self.paces = study, paces
        self.found: dict[Run, Finished] = {}
        self.jobs: dict[str, Job] = {}

    def look(self, runs: Iterable[Run]) -> None:
        """See which of these trainings have ended."""
        spelled = {self._spelled(run) for run in runs}
        there = {Path(paths.run_file(self.study, paths.RUN, run)): run for run in spelled if run not in self.found}
        self.found |= {there[one.folder]: one for one in finished(there)}

    def cost(self, panel: Panel, study: Study) -> PanelCost:
        places = study.places(panel)
        named, more = study.to_come(panel)
        needed = {TRAINING: list(dict.fromkeys([*(place.run for place in places), *named]))}
        needed |= {name: needed[TRAINING] for name in panel.measures if name in ON_GPU}
        if panel.on_the_way:
            needed[panel.on_the_way] = [run for run in needed[TRAINING] if self.study.is_trained(run)]
        for name, of in sweep_sources(panel, places).items():
            if name in ON_GPU:
                needed[name] = list(dict.fromkeys([*needed.get(name, []), *(place.run for place in of)]))
        jobs = {job.file: job for what, runs in needed.items() for run in runs for job in [self.job(what, run)]}
        if more:  # what is not named yet costs what the set itself does
            itself = [self.job(what, runs[0]) for what, runs in needed.items() if what in (TRAINING, *panel.measures)]
            jobs |= {
                file: replace(job, file=file, done=False)
                for number in range(more)
                for job in itself
                for file in [f"{job.file} of {panel.name} {number}"]
            }
        datasets = dict.fromkeys(self.study.on_disk(run).dataset for run in needed[TRAINING])
        weights = [
            Path(file).stem
            for run in needed[TRAINING]
            for file in paths.weights(self.study, self.study.on_disk(self.study.spelled(run)))
            if file.startswith(paths.WEIGHTS.partition("{")[0])
        ]
        if "lpips" in needed and self.study.config["measures"]["lpips"]["weights"] == "download":
            weights.append("alexnet")
        return PanelCost(panel, jobs, list(datasets), list(dict.fromkeys(weights)))

    def _spelled(self, run: Run) -> Run:
        """As its files are called."""
        return self.study.on_disk(self.study.spelled(run))

    def job(self, what: str, run: Run) -> Job:
        run = self._spelled(run)
        pattern = {TRAINING: f"{paths.RUN}/encoder.pt", "lpips": paths.LPIPS}.get(what, paths.MEASURE)
        file = paths.run_file(self.study, pattern, run, measure=what)
        if file not in self.jobs:
            self.jobs[file] = self._job(what, run, file)
        return self.jobs[file]

    def _job(self, what: str, run: Run, file: str) -> Job:
        study, trained = self.study, self.study.is_trained(run)
        resolved = study.resolve(run)
        pretraining = study.pretraining(run) if trained else None
        forward = self.paces.forward(
            pretraining, forward_flop(resolved.backbone, resolved.dataset.size, gmacs_of(study, run))
        )
        training, evaluated = images(study, run.dataset), sizes.evaluated_images(study, run.dataset)
        start = self.paces.start
        if what == TRAINING and pretraining is None:
            there = Path(paths.embeddings(study, run)).exists()
            seconds = start + evaluated * forward
            return Job(file, EMBEDDING, run, seconds, there, disk_mb=sizes.run_mb(study, run, None))
        if what == TRAINING:
            assert pretraining is not None
            load, pace = study.load(run), self.paces.of(pretraining)
            ended = self.found.get(run)
            return Job(
                file,
                TRAINING,
                run,
                seconds=start + load.images * pace.seconds + evaluated * forward,
                done=ended is not None and ended.run.decisive() == pretraining.decisive(),
                disk_mb=sizes.run_mb(study, run, pretraining),
                kind=Kind.of(pretraining),
                pace=pace,
                epochs=load.epochs,
                steps=load.steps,
                images=load.images,
                pflop=load.pflop,
                memory_mb=load.mem_mb,
            )
        # A probe on random views sees every image anew in each epoch; on plain ones it embeds them once.
        each = resolved.probe.epochs if resolved.probe.is_on_random_views else 1
        views = {
            "probe": training * each + evaluated,
            "knn": training + evaluated,
            "alignment": 2 * min(evaluated, ALIGNED),
            "lpips": 0,
        }
        if what == "fine_tuning":
            tuned = study.fine_tuning(run).training
            passes = tuned.epochs * training * 3 + evaluated  # forward and backward are three forwards
        elif what == "scores_by_epoch":
            assert pretraining is not None
            every = pretraining.training.snapshot_epochs
            passes = evaluated * (pretraining.training.epochs // every if every else 0)
        elif what.endswith(BY_EPOCH):
            passes = len(ladder(resolved.training)) * (evaluated + views.get(what.removesuffix(BY_EPOCH), 0))
        else:
            passes = views[what]
        done = Path(file).exists() and (not trained or self._training_done(run))
        return Job(file, ON_GPU[what], run, start + passes * forward, done)

    def _training_done(self, run: Run) -> bool:
        return self.job(TRAINING, run).done
