"""From the files of an audit's runs to its scores, and from what was found to its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured, UserError
from phenoviews.files import atomic, write_json, write_text
from phenoviews.measures.agreement import agreement
from phenoviews.measures.intensities import intensity_accuracy
from phenoviews.panels import audit, numbers, records, search
from phenoviews.panels.audit import CANNOT, UNTRAINED, Judged, Recommendation, Scores
from phenoviews.study import names
from phenoviews.study.metrics import AGREEMENT

Files = Mapping[str, Sequence[str]]
SAMPLE = 3000  # images of which the agreement between seeds is told


def scores(panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files, images: str) -> Scores:
    """The scores of runs.

    Args:
        panel: as `study.notes.audited` has it.
        runs: dicts with the keys of `metrics.RUN`.
        files: of every run, in their order, those of each measure, `embeddings` and `index`; of classes `predictions`.
        images: which of those that are held out; see `audit.scores_of_labels`.
    """
    found = measured(panel, runs, files)
    if not panel["of_classes"]:
        return audit.scores_of_values(runs, found, panel["judged"], panel["metrics"])
    of_classes = _of_classes(runs, files, images)
    if list(panel["judged"]) == ["top1"]:
        return of_classes
    return audit.by_value(of_classes, audit.scores_of_values(runs, found, panel["judged"], panel["metrics"]))


def measured(panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files) -> pd.DataFrame:
    """The values of the measures of runs, and how far their seeds agree; as from `records.read`."""
    measures = [name for name in files if name not in ("embeddings", "index", "predictions")]
    found = records.read((run, path) for name in measures for run, path in zip(runs, files[name], strict=True))
    both = pd.concat([found, agreed(runs, files["embeddings"], files["index"])], ignore_index=True)
    # A metric that does not have a dimension of another is "" there, as everywhere.
    return both.fillna({name: "" for name in ("postprocessing", "split") if name in both})


def agreed(runs: Sequence[Mapping[str, Any]], embedded: Sequence[str], indices: Sequence[str]) -> pd.DataFrame:
    """How far the embeddings of each setting's seeds agree: records of `metrics.AGREEMENT`. None of a setting whose
    seeds draw images of their own, since it is told of the same images. Of more than `SAMPLE` images as many, spread
    evenly."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number, run in enumerate(runs):
        groups.setdefault((run["transform"], run["method"]), []).append(number)
    values = np.full(len(runs), np.nan)
    for at in groups.values():
        if len({indices[one] for one in at}) == 1:
            values[at] = agreement([_sample(embedded[one]) for one in at])
    keys = ("dataset", "transform", "method", "backbone", "seed")
    return pd.DataFrame(
        {**{key: run[key] for key in keys}, "metric": AGREEMENT, "value": value, "postprocessing": "", "split": ""}
        for run, value in zip(runs, values, strict=True)
    )


def _sample(file: str) -> np.ndarray | None:
    try:
        found = embeddings.load(file)
    except NotMeasured:
        return None
    rows = np.linspace(0, len(found) - 1, min(SAMPLE, len(found))).round().astype(int)
    return np.asarray(found[rows])


def _of_classes(runs: Sequence[Mapping[str, Any]], files: Files, images: str, grouped: bool = True) -> Scores:
    """By the probe's predictions, of superclasses where there are some and they are `grouped`, else of classes."""
    known: dict[str, dict[str, Any]] = {}
    for path in dict.fromkeys(files["index"]):
        table = pd.read_parquet(path)
        classes = table.drop_duplicates("label").sort_values("label")
        if len(classes) < 2:
            only = classes["class"].iloc[0]
            raise UserError(
                f"{path}: all images are of one class, '{only}', so labels tell nothing of a set; add classes, or "
                "audit with `objective: none`"
            )
        known[path] = {
            "labels": table.loc[table["split"] == "test", "label"].to_numpy(),
            "classes": classes["class"].tolist(),
            "superclasses": classes["superclass"].tolist() if grouped and "superclass" in classes else None,
        }
    found_of = [
        {**known[index], "predictions": np.load(file)}
        for index, file in zip(files["index"], files["predictions"], strict=True)
    ]
    return audit.scores_of_labels(runs, found_of, images)


def judged(panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files) -> tuple[Judged, Scores]:
    """What was found on the images that choose, and all scores, the untrained network's among them."""
    whole = scores(panel, runs, files, _choosing(panel))
    return audit.of_the_set(whole, panel["design"], float(panel["margin"])), whole


def _choosing(panel: Mapping[str, Any]) -> str:
    """The images that choose: a half, so that the other can tell of what is chosen; all, where nothing is."""
    return "choosing" if panel["design"]["told"] else "all"


def left(panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files) -> list[str]:
    """The transforms that have more seeds after a look: what it does not decide, and what that is compared with."""
    found, whole = judged(panel, runs, files)
    return audit.going_on(found, audit.alone(whole, panel["design"], found.margin), panel["design"])


@dataclass(frozen=True)
class Searched:
    """The runs of an audit's search, round by round, and the `files` of all of them in this order."""

    rounds: Sequence[Sequence[Mapping[str, Any]]] = ()
    files: Files = field(default_factory=dict)

    @classmethod
    def of(
        cls, rounds: Sequence[Sequence[Mapping[str, Any]]], inputs: Mapping[str, Any], files: Iterable[str]
    ) -> Searched:
        """`inputs`: of a job, by their names, among them `searched_` and the name of one of an audit's `files`."""
        return cls(rounds, {name: inputs.get(f"searched_{name}", []) for name in files})

    @property
    def runs(self) -> list[Mapping[str, Any]]:
        return [run for of in self.rounds for run in of]


NOT_SEARCHED = Searched()


def proposed(
    panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files, searched: Searched
) -> list[str]:
    """The transforms that the next round of an audit's search tries."""
    found, _ = judged(panel, runs, files)
    its = panel["design"]["search"]
    known = [*search.tried_by_audit(found), *tried(panel, found, runs, files, searched)[0]]
    seed = (its["seed"], len(searched.rounds) + 1)
    return search.propose(its["space"], panel["start"], panel["entry"], known, its["settings"], its["sampler"], seed)


def tried(
    panel: Mapping[str, Any], found: Judged, runs: Sequence[Mapping[str, Any]], files: Files, searched: Searched
) -> tuple[list[search.Tried], float]:
    """What the search tried so far, and the mean of the set itself with its seeds."""
    start, seeds = panel["start"], panel["design"]["search"]["seeds"]
    every = [*runs, *searched.runs]
    joined = {name: [*of, *searched.files.get(name, ())] for name, of in files.items()}
    # By the same metric, where the audit's is the first that could be measured.
    both = scores({**panel, "judged": [found.scores.metric]}, every, joined, _choosing(panel))
    reasons = _reasons(searched)
    done = [
        one
        for number, of in enumerate(searched.rounds, start=1)
        for one in search.tried_in_round(
            both, start, dict.fromkeys(run["transform"] for run in of), number, seeds, reasons
        )
    ]
    its_own = both.y[[both.seeds.index(seed) for seed in seeds], both.settings.index(start), 0]
    return done, audit.mean(its_own)


def _reasons(searched: Searched) -> dict[str, str]:
    """{transform: why some measure of it has no value}."""
    measures = [name for name in searched.files if name not in ("embeddings", "index", "predictions")]
    if not searched.runs or not measures:
        return {}
    found = records.read(
        (run, path) for name in measures for run, path in zip(searched.runs, searched.files[name], strict=True)
    )
    missing = found[(found["reason"] != "") & found["value"].isna()].drop_duplicates("transform")
    return dict(zip(missing["transform"], missing["reason"], strict=True))


def choice(
    panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files, searched: Searched = NOT_SEARCHED
) -> list[str]:
    """The transforms that are trained again, with new seeds: the set, what is recommended in its place, and a search's
    candidates; or none."""
    found, _ = judged(panel, runs, files)
    recommendation = audit.recommended(found, panel["design"], panel["start"], panel["entry"])
    its = panel["design"].get("search")
    best = search.candidates(tried(panel, found, runs, files, searched)[0], its["candidates"]) if its else []
    told = [*([_spelled(recommendation, panel)] if recommendation.overrides else []), *best]
    return [panel["start"], *dict.fromkeys(told)] if told else []


def _spelled(recommendation: Recommendation, panel: Mapping[str, Any]) -> str:
    return names.override(panel["entry"], recommendation.name(panel["start"]))[1]


def write(
    panel: Mapping[str, Any], files: Files, again: Sequence[Mapping[str, Any]], files_again: Files,
    outputs: Mapping[str, str], images: str | None = None, on_the_way: Sequence[str] = (),
    searched: Searched = NOT_SEARCHED,
) -> None:  # fmt: skip
    """Write `outputs` (csv, md, yaml, json, png, pdf; lengths, where it measures on the way; search, where it searches)
    of an audit.

    Args:
        again: the runs with new seeds, and `files_again` theirs; none where nothing is recommended.
        images: the array of the images, for what their intensities alone tell.
        on_the_way: of each run that is trained, in their order, what was measured on its way.
    """
    from phenoviews.panels.figures.audit import draw_audit  # here: the choice is made without drawing
    from phenoviews.panels.style import save

    runs = panel["each"]
    found, whole = judged(panel, runs, files)
    recommendation = audit.recommended(found, panel["design"], panel["start"], panel["entry"])
    new = audit.without(scores(panel, again, files_again, "telling"), UNTRAINED) if again else None
    confirmed, lost = told_again(panel, new, [_spelled(recommendation, panel)] if recommendation.overrides else [])
    of_search = _found(panel, found, runs, files, searched, new)
    baselines = {}
    if UNTRAINED in whole.settings:
        of = whole.y[:, whole.settings.index(UNTRAINED), 0]
        baselines["the network before any training"] = audit.mean(of)
    if images:
        baselines["intensities alone, channel by channel (all held-out images)"] = intensity_accuracy(
            np.load(images, mmap_mode="r"), pd.read_parquet(Path(images).with_name("index.parquet"))
        )
    nuisances: list[audit.Told] = []
    if "nuisances" in files:
        told = records.read(zip(runs, files["nuisances"], strict=True))
        nuisances = audit.told_nuisances(told)
    others = [name for name in panel["told"] if name != found.scores.metric]
    values = measured(panel, runs, files)
    told_beside = audit.beside(runs, values, others, panel["metrics"], found.scores.settings)
    by_itself = audit.alone(whole, panel["design"], found.margin)
    # Where superclasses are judged, their classes are told, in the table alone: there may be a hundred.
    classes = [_of_classes(runs, files, _choosing(panel), grouped=False)] if panel["of_classes"] else []
    classes = [audit.only(of, *found.scores.settings) for of in classes if of.classes != found.scores.classes]
    table = audit.tidy(found, by_itself, [*told_beside, *classes], panel["design"], panel["start"], panel["entry"])
    _csv(outputs["csv"], table)
    lengths = _lengths(panel, values, on_the_way, found.scores)
    if lengths:
        _csv(outputs["lengths"], audit.lengths_table(lengths, panel))
    unit = found.scores.unit
    # What a search recommends is said first; that it recommends nothing, after what the parts do.
    beyond = [f"`{name}` could not be told again: its trainings with new seeds failed." for name in lost]
    lead = search.said(of_search, unit) if of_search else []
    lead, beyond = (lead, beyond) if of_search and of_search.winner else ([], [*beyond, *lead])
    said = (found, recommendation, panel, by_itself, confirmed, nuisances, baselines, told_beside, lengths)
    pasted = _pasted(found, recommendation, panel, of_search)
    write_text(
        outputs["md"],
        audit.report(*said, lead=lead, beyond=beyond) + (search.report(of_search, unit) if of_search else ""),
    )
    write_text(outputs["yaml"], pasted)
    of_panel = numbers.document({**panel, "metrics": [], "each": [*runs, *searched.runs, *again]})
    shown = audit.document(*said, lead=lead, beyond=beyond)
    its_page = {"search": search.document(of_search, unit) if of_search else None}
    write_json(outputs["json"], {**of_panel, "audit": {**shown, **its_page, "yaml": pasted}})
    if of_search:
        _csv(outputs["search"], search.table(of_search))
    against = panel["start"] if found.tried or by_itself is None else audit.NOTHING
    drawn = table[(table["against"] == against) & (table["metric"] == "")]
    save(
        draw_audit(drawn, against, unit, found.margin, panel["scale"]["note"]),
        outputs["png"],
        outputs["pdf"],
    )


def told_again(panel: Mapping[str, Any], new: Scores | None, named: Sequence[str]) -> tuple[Judged | None, list[str]]:
    """These settings against the set with new seeds, None where there is none to tell; and those of which two such
    trainings are not there beside the set's."""
    if new is None or not named:
        return None, []
    y = new.y[:, :, 0]
    base = y[:, new.settings.index(panel["start"])]
    both = {name: int(np.isfinite(y[:, new.settings.index(name)] - base).sum()) for name in named}
    there = [name for name in named if both[name] > 1]
    told = Judged(audit.only(new, panel["start"], *there), float(panel["margin"])) if there else None
    return told, [name for name in named if name not in there]


def _found(
    panel: Mapping[str, Any], found: Judged, runs: Sequence[Mapping[str, Any]], files: Files, searched: Searched,
    new: Scores | None,
) -> search.Found | None:  # fmt: skip
    """What a search came to; None where an audit does not search."""
    its = panel["design"].get("search")
    if its is None:
        return None
    done, mean = tried(panel, found, runs, files, searched)
    best = search.candidates(done, its["candidates"])
    told, lost = told_again(panel, new, best)
    return search.Found(
        start=panel["start"],
        tried=tuple(done),
        most=its["rounds"] * its["settings"],
        mean=mean,
        spread=search.spread_of(found),
        seeds=len(its["seeds"]),
        sampler=its["sampler"],
        candidates=tuple(best),
        lost=tuple(lost),
        again=told,
    )


def _lengths(
    panel: Mapping[str, Any], values: pd.DataFrame, on_the_way: Sequence[str], scores: Scores
) -> list[audit.Length]:
    """What the settings do after each length of training, by what they are judged by; nothing where nothing was
    measured on the way. `values`: of the ends of all runs."""
    if not on_the_way:
        return []
    trained = [run for run in panel["each"] if run["method"].split("+")[0] != UNTRAINED]
    early = records.read(zip(trained, on_the_way, strict=True))
    return audit.at_lengths(panel["each"], early, values, panel, scores.metric, scores.settings)


def _pasted(
    found: Judged, recommendation: Recommendation, panel: Mapping[str, Any], of_search: search.Found | None
) -> str:
    start = panel["start"]
    told = sum(verdict != CANNOT for verdict in found.verdicts[1:])
    of = f"{told} of {len(found.verdicts) - 1} changes of '{start}' could be told"
    lines = [f"# {panel['title']}: {of if found.tried else f'no change of {start!r} was tried'}.\n"]
    paper = panel["name"].rpartition("_")[0]
    pasted = "".join(lines) + audit.recommended_yaml(recommendation, start, panel["entry"], f"{paper}_recommended")
    return pasted + (search.found_yaml(of_search, panel["entry"], f"{paper}_found", found.scores) if of_search else "")


def _csv(path: str, table: pd.DataFrame) -> None:
    with atomic(path) as partial:
        table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
