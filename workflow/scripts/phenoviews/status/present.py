"""Which of a panel's files are there already, for a panel that is drawn while its study grows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phenoviews.costs.finished import finished
from phenoviews.errors import NOT_YET
from phenoviews.status.states import line_of
from phenoviews.study import Study, paths
from phenoviews.study.panel import Panel
from phenoviews.study.plan import sweep_sources
from phenoviews.study.run import Run

Files = dict[str, list[str]]
# Logs of what a measure is made from, whose failure is that of the measure.
BEFORE = ("pretrain", "embed", "score")


@dataclass(frozen=True)
class Partial:
    """What a panel, or its sweeps, are made from.

    files: {name of an input: one file per run, in their order}, whether it is there or not.
    absent: {file that is not there: why}; `errors.NOT_YET` at its beginning where it may yet come.
    """

    files: Files
    absent: Mapping[str, str]

    def present(self) -> Files:
        """Those files that are there."""
        return {name: [file for file in of if file not in self.absent] for name, of in self.files.items()}


class Present:
    """Looks once for every file, of whatever panels.

    A file of a training is there if the training ended with the settings that it would have now, and the file is no
    older. Whether code, or settings of the measure itself, have changed since, only Snakemake knows, when it plans the
    whole.
    """

    def __init__(self, study: Study):
        self.study = study
        self.why: dict[str, str] = {}
        self.ended: dict[tuple[str, Run], tuple[float, str]] = {}

    def panel(self, panel: Panel) -> Partial:
        """What a table or figure is drawn from. Of a figure that needs more than values a run counts whole."""
        there = self.study.of(panel)
        runs = self.study.runs(panel)
        files = paths.measures(there, panel, runs)
        more = {} if panel.is_table else paths.figure_files(there, panel, runs)
        absent = self._absent(there, files | more, runs)
        for at, _ in enumerate(runs if more else []):
            lacks = [absent[of[at]] for of in (files | more).values() if of[at] in absent]
            absent |= dict.fromkeys((of[at] for of in files.values()), lacks[0]) if lacks else {}
        return Partial(files | more, absent)

    def sweeps(self, panel: Panel) -> Partial:
        """What the sweeps of a panel are measured from."""
        there, sources = self.study.of(panel), self._sources(panel)
        files, absent = paths.sweep_sources(there, sources), dict[str, str]()
        for name, runs in sources.items():
            absent |= self._absent(there, {name: files[name]}, runs)
        return Partial(files, absent)

    def note(self, panel: Panel) -> str:
        """What a reader has to know of a panel that lacks something: how many of its runs have all that it shows, and
        of how many nothing may come any more; "" of one that lacks nothing."""
        made_of, of_sweeps = self.panel(panel), self.sweeps(panel)
        why: dict[Run, list[str]] = {run: [] for run in self.study.runs(panel)}
        sources = self._sources(panel)
        pairs = [pair for of in made_of.files.values() for pair in zip(self.study.runs(panel), of, strict=True)]
        pairs += [pair for name, of in of_sweeps.files.items() for pair in zip(sources[name], of, strict=True)]
        for run, file in pairs:
            why[run] += [self.why[file]] if self.why[file] else []
        lack = [reasons for reasons in why.values() if reasons]
        if not lack:
            return ""
        failed = sum(not all(reason.startswith(NOT_YET) for reason in reasons) for reasons in lack)
        return f"Partial: {len(why) - len(lack)} of {len(why)} runs{f', {failed} failed' if failed else ''}."

    def _sources(self, panel: Panel) -> dict[str, list[Run]]:
        shown = sweep_sources(panel, self.study.places(panel))
        return {name: [place.run for place in of] for name, of in shown.items()}

    def _absent(self, there: Study, files: Files, runs: Sequence[Run]) -> dict[str, str]:
        self._look(there, runs)
        found = {}
        for of in files.values():
            for run, file in zip(runs, of, strict=True):
                if why := self._why(there, run, file):
                    found[file] = why
        return found

    def _look(self, there: Study, runs: Iterable[Run]) -> None:
        """See which trainings have ended, when, and whether their settings are those of now."""
        new = [run for run in runs if (there.scale, run) not in self.ended]
        wanted = {Path(paths.run_file(there, paths.RUN, run)): run for run in new}
        wanted = {folder: run for folder, run in wanted.items() if there.is_trained(run)}
        for one in finished(wanted):
            run = wanted[one.folder]
            same = one.run.decisive() == there.pretraining(there.on_disk(there.spelled(run))).decisive()
            made = (one.folder / "run.yaml").stat().st_mtime
            self.ended[there.scale, run] = made, "" if same else f"{NOT_YET}: what lies there is of other settings"
        for run in wanted.values():
            self.ended.setdefault((there.scale, run), (0.0, NOT_YET))

    def _why(self, there: Study, run: Run, file: str) -> str:
        """Why a file is not there; "" where it is."""
        if file not in self.why:
            self.why[file] = self._found(there, run, Path(file))
        return self.why[file]

    def _found(self, there: Study, run: Run, file: Path) -> str:
        folder = Path(paths.run_file(there, paths.RUN, run))
        made, otherwise = self.ended.get((there.scale, run), (0.0, ""))
        of_run = folder in file.parents
        if of_run and otherwise:
            return _failed(folder, file) or otherwise
        try:
            fresh = file.stat().st_mtime >= made if of_run else file.exists()
        except FileNotFoundError:
            fresh = False
        return "" if fresh else _failed(folder, file) or NOT_YET


def _failed(folder: Path, file: Path) -> str:
    """The one line of the job that was to make a file of a run, or of one before it, and failed."""
    for name in (*BEFORE, file.stem, file.stem.replace(file.stem.split("-k")[0], "clusters", 1)):
        if line := line_of(folder / "logs" / f"{name}.log"):
            return f"failed: {line}"
    return ""
