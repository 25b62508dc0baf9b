"""Write docs/power.md: how likely each verdict is if the published means are the truth.

Run from the repository's root: PYTHONPATH=workflow/scripts python docs/power.py
With --check nothing is written; it fails if the document is not what would be. Either takes about a minute.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml

from phenoviews.panels import verdicts
from phenoviews.panels.comparisons import Claim, Comparison, Values, compare, read, selected
from phenoviews.panels.records import published
from phenoviews.panels.table import markdown_row
from phenoviews.panels.verdicts import CONTRADICTED, REPRODUCED, UNDECIDED
from phenoviews.study import resources
from phenoviews.study.metrics import METRICS
from phenoviews.study.panel import Panel

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "power.md"
PAPERS = {"no_free_lunch": "No Free Lunch", "single_cell": "Contrastive Learning of Single-Cell Representations"}
SDS, SEEDS, DRAWS = (0.01, 0.02, 0.03, 0.04, 0.05), (3, 5, 10), 1000
# From the least to the largest value that a metric can have; LPIPS has no upper end, and seldom exceeds 1.
RANGES = {"silhouette": 2.0, "ami": 1.0, "top1": 100.0, "lpips": 1.0, "nsc": 100.0, "nscb": 100.0, "drop": 100.0}
ABOUT = """\
# How likely each verdict is

Written by [power.py](power.py), from the published means (`resources/published/`) and the claims on them
(`resources/claims/`). If those means are the truth, and trainings that differ in their seed scatter around them
independently and normally, this is how often {draws:,} repetitions of the whole study end with a claim *reproduced* and
with it *contradicted*; the rest is *undecided*. The standard deviation over seeds is given as a share of the metric's
range: 1 for AMI and LPIPS, 2 for the silhouette, 100 points for top-1, NSC and NSCB; a drop is the difference of an NSC
and an NSCB. A claim over many cells is judged by the mean over its cells within each seed; its strict form, whose name
ends in `.every`, asks for every cell.

What to read in it: with three seeds a claim is decided only if its margin is several times the scatter. The strict
forms fail where a single published margin is within the scatter, though the paper is right. Paper B has one training
per cell. Its claims are then judged treatment by treatment, if at all, and the outcomes of single treatments are not
published; what follows for it holds once `seeds` is raised, when seeds are the units as they are everywhere else.
Claims on what is counted over sweeps are not here: bootstrap draws and tests judge those, not seeds.
"""


@dataclass(frozen=True)
class Judged:
    """What a claim is judged by, over many seeds."""

    claim: Claim
    margins: npt.NDArray[np.float64]  # (comparisons, seeds)
    shown: npt.NDArray[np.float64]  # (cells of all comparisons, seeds)
    ranges: npt.NDArray[np.float64]  # (comparisons,), of the metric that is compared
    shown_ranges: npt.NDArray[np.float64]  # (cells,)


def claims(paper: str) -> dict[str, list[Claim]]:
    """{panel: its claims, the strict forms included}; without those on what is counted over sweeps."""
    given = yaml.safe_load((ROOT / f"resources/claims/{paper}.yaml").read_text())
    found = {panel: [claim for claim in read(of) if not _of_sweeps(claim)] for panel, of in given.items()}
    return {panel: of for panel, of in found.items() if of}


def _of_sweeps(claim: Claim) -> bool:
    terms = [term for comparison in claim.comparisons for term in comparison.terms]
    return any(METRICS[metric].of_sweep for term in terms for _, metric, _ in term.parts)


def means(panel: str) -> Values:
    """The published means of a panel as if they were the values of one seed; scores are from their counts."""
    paper = next(paper for paper in PAPERS if panel.startswith(paper))
    printed = published(resources.published(Panel(paper, panel.removeprefix(f"{paper}_"), {})))
    printed = printed[printed["quoted"] == ""].assign(seed=0, reason="not published")
    counted = 100 * printed["correct"] / printed["of"]
    printed["value"] = counted.where(counted.notna(), printed["value"])
    kept = ["dataset", "transform", "method", "backbone", "postprocessing", "metric", "seed", "value", "reason"]
    found = Values.of(printed[[name for name in kept if name in printed]])
    return replace(found, values=_with_drops(found.dimensions, found.values))


def scattered(truth: Values, sd: float, noise: npt.NDArray[np.float64]) -> Values:
    """Seeds around the means.

    Args:
        truth: as from `means`.
        sd: over seeds, as a share of the metric's range.
        noise: (rows, seeds), standard normal.
    """
    ranges = np.array([RANGES[metric] for metric in truth.dimensions["metric"]])
    values = _with_drops(truth.dimensions, truth.values + sd * ranges[:, None] * noise)
    there = np.ones(values.shape, dtype=bool)
    return replace(truth, seeds=range(noise.shape[1]), values=values, there=there, reasons={})


def _with_drops(
    dimensions: Mapping[str, npt.NDArray[np.object_]], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Every drop as the difference of the NSC and the NSCB beside it, which is printed from rounded scores."""
    values = values.copy()
    metric = dimensions["metric"]
    keys = list(zip(*(column for key, column in dimensions.items() if key != "metric"), strict=True))
    row = {(name, key): at for at, (name, key) in enumerate(zip(metric, keys, strict=True))}
    for at in np.flatnonzero(metric == "drop"):
        values[at] = values[row["nsc", keys[at]]] - values[row["nscb", keys[at]]]
    return values


def judged(claim: Claim, values: Values) -> Judged | None:
    """The margins of a claim; None where a mean that it is about is not published."""
    compared = compare(claim, selected(claim, values))
    shown = np.concatenate([[cell.margins for cell in cells] for _, cells in compared])
    if not shown.size or np.isnan(shown).any():
        return None
    spans = np.array([_range(comparison) for comparison, _ in compared])
    each = np.repeat(spans, [len(cells) for _, cells in compared])
    if claim.every:
        return Judged(claim, shown, shown, each, each)
    mean = np.array([np.mean([cell.margins for cell in cells], axis=0) for _, cells in compared])
    return Judged(claim, mean, shown, spans, each)


def frequencies(found: Judged, n: int) -> dict[str, float]:
    """How often a claim has each verdict.

    Args:
        found: of draws x max(SEEDS) seeds.
        n: seeds of each draw that are judged.
    """
    margins = found.margins.reshape(len(found.margins), -1, max(SEEDS))[..., :n]
    p, against = verdicts.over_seeds(margins)
    of = verdicts.verdict(verdicts.results(p, against, n))
    return {name: float(np.mean(of == name)) for name in (REPRODUCED, CONTRADICTED, UNDECIDED)}


Chances = Mapping[tuple[float, int], Mapping[str, float]]  # (sd, seeds): {verdict: how often}


def panel_rows(
    panel: str, of: Sequence[Claim], sds: Sequence[float] = SDS, draws: int = DRAWS
) -> Iterator[tuple[Judged, Chances]]:
    """Every claim on a panel whose means are published: the published margins, and how often it has each verdict."""
    truth = means(panel)
    known = [found for claim in of if (found := judged(claim, truth)) is not None]
    if not known:
        return
    # By name, so that a claim or a panel that joins leaves the others' numbers as they are.
    rng = np.random.default_rng(zlib.crc32(panel.encode()))
    noise = rng.standard_normal((len(truth.values), draws * max(SEEDS)))
    chances: dict[str, dict[tuple[float, int], dict[str, float]]] = {found.claim.id: {} for found in known}
    for sd in sds:
        values = scattered(truth, sd, noise)
        for found in known:
            drawn = judged(found.claim, values)
            assert drawn is not None
            chances[found.claim.id] |= {(sd, n): frequencies(drawn, n) for n in SEEDS}
    for found in known:
        yield found, chances[found.claim.id]


def published_line(found: Judged) -> str:
    """The row of a claim in the table of published margins."""
    shares = found.margins[:, 0] / found.ranges
    shown = found.shown[:, 0] / found.shown_ranges
    on_side = int((found.shown[:, 0] > verdicts.SAME).sum())
    borne_out = "yes" if (found.margins > verdicts.SAME).all() else "**no**"
    cells = [found.claim.id, borne_out, f"{on_side} of {len(shown)}", f"{shares.min():+.3f}", f"{shown.min():+.3f}"]
    return markdown_row([*cells, found.claim.says.replace("|", "\\|")])


def power_line(found: Judged, chances: Chances, n: int) -> str:
    """The row of a claim in the table of `n` seeds: reproduced / contradicted, in percent."""
    cells = [f"{100 * of[REPRODUCED]:.0f} / {100 * of[CONTRADICTED]:.0f}" for of in (chances[sd, n] for sd in SDS)]
    return markdown_row([found.claim.id, *cells])


def document() -> str:
    parts = [ABOUT.format(draws=DRAWS)]
    for paper, title in PAPERS.items():
        of_panels = claims(paper)
        rows = [row for panel, of in of_panels.items() for row in panel_rows(panel, of)]
        known = {found.claim.id for found, _ in rows}
        left_out = [claim.id for of in of_panels.values() for claim in of if claim.id not in known]
        parts += [f"## {title}", "The published margins, as shares of the metric's range:"]
        head = ["Claim", "Borne out", "On its side", "Least margin judged", "Least margin of a cell", "What is claimed"]
        lines = [markdown_row(head), markdown_row(["---", "---", "---:", "---:", "---:", "---"])]
        parts.append("\n".join([*lines, *(published_line(found) for found, _ in rows)]))
        for n in SEEDS:
            parts.append(f"{n} seeds, reproduced / contradicted in percent, by the standard deviation over seeds:")
            lines = [markdown_row(["Claim", *(f"{sd:.2f}" for sd in SDS)]), markdown_row(["---"] + ["---:"] * len(SDS))]
            parts.append("\n".join([*lines, *(power_line(found, chances, n) for found, chances in rows)]))
        parts.append(f"Left out, as not all of their means are published: {', '.join(left_out)}.")
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _range(comparison: Comparison) -> float:
    """Of the metrics that are compared; 1 for a relative fall."""
    terms = (comparison.more, comparison.less)
    if any(term.start for term in terms):
        return 1.0
    (only,) = {RANGES[metric] for term in terms for _, metric, _ in term.parts if metric in RANGES} or {1.0}
    return only


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if docs/power.md is out of date")
    text = document()
    if not parser.parse_args().check:
        DOCUMENT.write_text(text)
    elif text != DOCUMENT.read_text():
        sys.exit("docs/power.md is out of date; run: PYTHONPATH=workflow/scripts python docs/power.py")


if __name__ == "__main__":
    main()
