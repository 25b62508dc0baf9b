"""From the files of an audit's runs to its scores, and from what was found to its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.data import embeddings
from phenoviews.errors import NotMeasured, UserError
from phenoviews.files import atomic, write_json
from phenoviews.measures.agreement import agreement
from phenoviews.measures.intensities import intensity_accuracy
from phenoviews.panels import audit, numbers, records
from phenoviews.panels.audit import CANNOT, UNTRAINED, Judged, Recommendation, Scores
from phenoviews.study.metrics import AGREEMENT

Files = Mapping[str, Sequence[str]]
SAMPLE = 3000  # images of which the agreement between seeds is told


def scores(panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files, half: str) -> Scores:
    """The scores of runs.

    Args:
        panel: as `study.notes.audited` has it.
        runs: dicts with the keys of `metrics.RUN`.
        files: of every run, in their order, those of each measure, `embeddings` and `index`; of classes `predictions`.
        half: of the held-out images; see `audit.scores_of_labels`.
    """
    found = measured(panel, runs, files)
    if not panel["of_classes"]:
        return audit.scores_of_values(runs, found, panel["judged"], panel["metrics"])
    of_classes = _of_classes(runs, files, half)
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


def _of_classes(runs: Sequence[Mapping[str, Any]], files: Files, half: str, grouped: bool = True) -> Scores:
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
    return audit.scores_of_labels(runs, found_of, half)


def judged(panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files) -> tuple[Judged, Scores]:
    """What was found on the half that chooses, and all scores, the untrained network's among them."""
    whole = scores(panel, runs, files, "choosing")
    return audit.of_the_set(whole, panel["design"], float(panel["margin"])), whole


def left(panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files) -> list[str]:
    """The transforms that have more seeds after a look: what it does not decide, and what that is compared with."""
    found, whole = judged(panel, runs, files)
    return audit.going_on(found, audit.alone(whole, panel["design"], found.margin), panel["design"])


def choice(panel: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], files: Files) -> list[str]:
    """The transforms that are trained again, with new seeds: the set and what is recommended in its place; or none."""
    found, _ = judged(panel, runs, files)
    recommendation = audit.recommended(found, panel["design"], panel["start"], panel["entry"])
    return [panel["start"], recommendation.name(panel["start"])] if recommendation.overrides else []


def write(
    panel: Mapping[str, Any], files: Files, again: Sequence[Mapping[str, Any]], files_again: Files,
    outputs: Mapping[str, str], images: str | None = None, on_the_way: Sequence[str] = (),
) -> None:  # fmt: skip
    """Write `outputs` (csv, md, yaml, json, png, pdf; lengths, where it measures on the way) of an audit.

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
    confirmed = None
    if again:
        new = audit.without(scores(panel, again, files_again, "telling"), UNTRAINED)
        confirmed = Judged(new, float(panel["margin"]))
    baselines = {}
    if UNTRAINED in whole.settings:
        of = whole.y[:, whole.settings.index(UNTRAINED), 0]
        baselines["the network before any training"] = audit.mean(of)
    if images:
        baselines["intensities alone, channel by channel (all held-out images)"] = intensity_accuracy(
            np.load(images, mmap_mode="r"), pd.read_parquet(Path(images).with_name("index.parquet"))
        )
    nuisances = []
    if "nuisances" in files:
        told = records.read(zip(runs, files["nuisances"], strict=True))
        nuisances = audit.told_nuisances(told)
    others = [name for name in panel["told"] if name != found.scores.metric]
    values = measured(panel, runs, files)
    told_beside = audit.beside(runs, values, others, panel["metrics"], found.scores.settings)
    by_itself = audit.alone(whole, panel["design"], found.margin)
    # Where superclasses are judged, their classes are told, in the table alone: there may be a hundred.
    classes = [_of_classes(runs, files, "choosing", grouped=False)] if panel["of_classes"] else []
    classes = [audit.only(of, *found.scores.settings) for of in classes if of.classes != found.scores.classes]
    table = audit.tidy(found, by_itself, [*told_beside, *classes], panel["design"], panel["start"], panel["entry"])
    with atomic(outputs["csv"]) as partial:
        table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    lengths = _lengths(panel, values, on_the_way, found.scores.settings)
    if lengths:
        with atomic(outputs["lengths"]) as partial:
            audit.lengths_table(lengths, panel).to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    said = (found, recommendation, panel, by_itself, confirmed, nuisances, baselines, told_beside, lengths)
    pasted = _pasted(found, recommendation, panel)
    _text(outputs["md"], audit.report(*said))
    _text(outputs["yaml"], pasted)
    of_panel = numbers.document({**panel, "metrics": [], "each": [*runs, *again]})
    write_json(outputs["json"], {**of_panel, "audit": {**audit.document(*said), "yaml": pasted}})
    unit = found.scores.unit
    of_the_set = table[(table["against"] == panel["start"]) & (table["metric"] == "")]
    save(
        draw_audit(of_the_set, panel["start"], unit, found.margin, panel["scale"]["note"]),
        outputs["png"],
        outputs["pdf"],
    )


def _lengths(
    panel: Mapping[str, Any], values: pd.DataFrame, on_the_way: Sequence[str], settings: Sequence[str]
) -> list[audit.Length]:
    """What the settings do after each length of training; nothing where nothing was measured on the way. `values`: of
    the ends of all runs."""
    if not on_the_way:
        return []
    trained = [run for run in panel["each"] if run["method"].split("+")[0] != UNTRAINED]
    early = records.read(zip(trained, on_the_way, strict=True))
    return audit.at_lengths(panel["each"], early, values, panel, settings)


def _pasted(found: Judged, recommendation: Recommendation, panel: Mapping[str, Any]) -> str:
    start = panel["start"]
    told = sum(verdict != CANNOT for verdict in found.verdicts[1:])
    lines = [f"# {panel['title']}: {told} of {len(found.verdicts) - 1} changes of '{start}' could be told.\n"]
    name = panel["name"].rpartition("_")[0] + "_recommended"
    return "".join(lines) + audit.recommended_yaml(recommendation, start, panel["entry"], name)


def _text(path: str, text: str) -> None:
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")
