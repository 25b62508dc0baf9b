"""The verdict on each of a paper's claims, as a table and in Markdown.

`comparisons` tells how a claim is written and what its margins are, `verdicts` how margins are judged. With several
seeds they are judged over seeds. With a single one, and scores of profiles on both sides, they are judged by the
outcomes of the treatments (`OUTCOMES`), and the verdict holds for these treatments and this training. A quoted score,
or an allowance, has no such outcomes: only seeds can judge those.

Counts over a sweep have no seeds either. They are judged by their bootstrap draws over seeds, and those that a test
reports (a p, or how many classes it has shown to rise) by that test: what is on its side is shown.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from phenoviews.errors import NOT_YET, UserError
from phenoviews.files import write_text
from phenoviews.panels import verdicts
from phenoviews.panels.comparisons import NOWHERE, Cell, Claim, Comparison, Term, Values, compare, read, selected
from phenoviews.panels.table import markdown_row, plain_markdown
from phenoviews.panels.verdicts import (
    CANNOT,
    CONFIDENCE,
    CONTRADICTED,
    FEW,
    FEWEST_SEEDS,
    FEWEST_UNITS,
    LATER,
    LEVEL,
    NOISE,
    REPRODUCED,
    UNDECIDED,
)
from phenoviews.study.metrics import HIGH, LOW

# The outcomes per treatment, 1 for right and 0 for wrong, whose mean a score in percent is; drop is the difference.
OUTCOMES = {"nsc": {"nsc_right": 1}, "nscb": {"nscb_right": 1}, "drop": {"nsc_right": 1, "nscb_right": -1}}
TREATMENT = ["compound", "concentration", "moa"]
MOST_REASONS = 3  # that one cell of a table tells; the CSV has all
DASH = "\N{EM DASH}"
OVER_TREATMENTS = (
    " Where there is one training, its outcomes for the treatments are compared: sign-flip tests over compounds and "
    f"over mechanisms of action, at least {FEWEST_UNITS} of each that differ, of which the larger p counts."
)
OVER_SWEEPS = (
    " What is counted over a sweep has no seeds: it is judged by bootstrap draws over seeds, or by the test that it is "
    "the outcome of. Where the count of noise alone would meet a claim as well, it is not distinguishable from noise."
)
COLUMNS = [
    *("claim", "says", "verdict", "over", "cells", "on_side", "smallest", "smallest_low", "smallest_high", "noise"),
    *("comparison", "cell", "result", "n", "margin", "sd", "low", "high", "p", "p_against", "sign_flip"),
    *("compounds", "moas", "mcnemar", "reason"),
]


def evaluate(
    claims: Sequence[Mapping[str, Any]],
    records: pd.DataFrame,
    stand_ins: Mapping[str, str] = NOWHERE,
    of_sweeps: Mapping[str, Mapping[str, Any]] = NOWHERE,
) -> pd.DataFrame:
    """The verdict on each claim, with one line for each comparison that it is judged by and for each cell of that.

    Args:
        claims: as in `comparisons`.
        records: tidy, one row per value: seed, metric, value (NaN where there is none), reason, and dimensions, which
            are all columns but `comparisons.NO_DIMENSION`; "" or NaN in a dimension that a metric does not have.
        stand_ins: {a name in the claims: the name in the records}; names without an entry are the same in both.
        of_sweeps: {metric of a sweep: by_seed, drawn and test, as `study.metrics` has them}.

    Returns:
        Of the claim: claim, says, verdict; over (what it is judged over: seeds, treatments, draws, tests); cells (how
        many, of all comparisons together), on_side (how many of them have a mean margin above zero), smallest (the
        least of these margins, in its metric's unit) with its interval.
        Of the line: comparison, cell; result (verdict of the comparison; "" for a cell that is only shown); n (seeds);
        margin (mean over seeds), its sd (of a sample), low, high (interval); p, one-sided; p_against, on the other
        side, after Holm; sign_flip, the exact p of signs over seeds (NaN where it cannot reach the level); compounds
        and moas whose outcomes differ, and mcnemar, of one training; reason, why seeds or a verdict are missing.

    Raises:
        UserError: a claim that cannot be read, or a term that meets several values of one seed.
    """
    judge = Judge.of(records, of_sweeps)
    lines = [line for claim in read(claims, stand_ins) for line in _lines(claim, judge)]
    return pd.DataFrame(lines, columns=COLUMNS)


def write(claims: pd.DataFrame, panel: Mapping[str, Any], csv: str | Path) -> None:
    """Write the comparisons as CSV, each with the scale at which the numbers were made."""
    scale = {"scale": panel["scale"]["name"], "note": panel["scale"]["note"]}
    write_text(csv, claims.assign(**scale).to_csv(index=False))


def summary(claims: pd.DataFrame) -> pd.DataFrame:
    """The verdicts of `evaluate` in one line per claim.

    Returns:
        What is said of the claim there, and of the comparison that decides it its columns; without: how many cells have
        no value, where others have one; seeds: "3 to 5", or else what it is judged over; reasons: why a verdict or
        seeds are missing.
    """
    lines = []
    for _, claim in claims.groupby("claim", sort=False):
        judged = claim[claim["result"] != ""]
        rank = judged["result"].map(verdicts.WORST.index)
        deciding = judged.assign(rank=rank).sort_values(["rank", "p", "margin"], ascending=[True, False, True]).iloc[0]
        without = int((_innermost(claim)["n"] == 0).sum())
        counts = sorted(set(judged["n"]))
        seeds = " to ".join(map(str, dict.fromkeys([counts[0], counts[-1]])))
        reasons = list(dict.fromkeys(filter(None, judged["reason"])))
        more = [f"and {len(reasons) - MOST_REASONS} more"] * (len(reasons) > MOST_REASONS)
        lines.append(
            {
                **{str(key): value for key, value in deciding[COLUMNS].items()},
                "without": without if without < deciding["cells"] else 0,
                "seeds": seeds if "seeds" in deciding["over"] else deciding["over"],
                "reasons": "; ".join([*reasons[:MOST_REASONS], *more]),
            }
        )
    return pd.DataFrame(lines, columns=[*COLUMNS, "without", "seeds", "reasons"])


def markdown(claims: pd.DataFrame, panel: Mapping[str, Any]) -> str:
    """The verdicts as a Markdown table, one line per claim; "" where there are none."""
    if claims.empty:
        return ""
    scale = panel["scale"]["name"]
    percent = f"{100 * CONFIDENCE:.0f} %"
    treatments = bool((claims["over"] == "treatments").any())
    sweeps = bool(claims["over"].str.contains("draws|tests").any())
    lines = [
        f"The paper's claims{'' if scale == 'paper' else f' at {scale} scale'}. A margin is how far a claim holds, "
        "averaged over its cells within each seed. Reproduced, or contradicted: one-sided t test over seeds, p < "
        f"{LEVEL} on its side, or on the other, at least {FEWEST_SEEDS} seeds. Of several comparisons the worst "
        "decides. p covers the noise of training and of what else follows the seed, not other images or plates."
        + OVER_TREATMENTS * treatments
        + OVER_SWEEPS * sweeps,
        "",
        markdown_row(
            [
                "Claim",
                "Verdict",
                f"Mean margin [{percent}]",
                "p (sign-flip)",
                "Comparisons on its side",
                f"Smallest mean margin [{percent}]",
                "Seeds",
                "What is claimed",
            ]
        ),
        markdown_row(["---", "---", "---:", "---:", "---:", "---:", "---:", "---"]),
    ]
    for of in summary(claims).to_dict("records"):
        cells = [
            of["claim"],
            of["verdict"] + ", for these treatments, one training" * (of["over"] == "treatments"),
            _spread(of["margin"], of["low"], of["high"]),
            _p(of),
            f"{of['on_side']} of {of['cells']}" + f", {of['without']} without values" * bool(of["without"]),
            _spread(of["smallest"], of["smallest_low"], of["smallest_high"]),
            of["seeds"],
            of["says"],
        ]
        if of["verdict"] in (CANNOT, FEW):
            cells[1] += f": {of['reasons']}" * bool(of["reasons"])
        elif of["reasons"]:
            cells[6] += f" ({of['reasons']})"
        lines.append(markdown_row(map(plain_markdown, cells)))
    return "\n".join(lines) + "\n"


# -------------------------------------------------------------------------------------------------------- how it stands
@dataclass(frozen=True)
class Judge:
    """What margins are judged by, and the values for that: those that have seeds, and those that are of all seeds."""

    drawn: frozenset[str]
    tests: Mapping[str, str]
    by_seed: Values
    of_all: Values

    @classmethod
    def of(cls, records: pd.DataFrame, of_sweeps: Mapping[str, Mapping[str, Any]]) -> Self:
        """As for `evaluate`."""
        drawn = frozenset(name for name, how in of_sweeps.items() if how["drawn"])
        tests = {name: how["test"] for name, how in of_sweeps.items() if how["test"]}
        seedless = records["metric"].isin([name for name, how in of_sweeps.items() if not how["by_seed"]])
        return cls(drawn, tests, Values.of(records[~seedless]), Values.of(records[seedless]))

    def values(self, claim: Claim, comparison: Comparison) -> Values:
        """Those that a comparison is of."""
        return selected(claim, self.by_seed if self.over(comparison) == "seeds" else self.of_all)

    def over(self, comparison: Comparison) -> str:
        """What a comparison is judged over."""
        metrics = {metric for term in comparison.terms for _, metric, _ in term.parts + term.start}
        if metrics & self.tests.keys():
            return "tests"
        return "draws" if metrics & self.drawn else "seeds"

    def ways(self, comparison: Comparison) -> tuple[Callable[..., dict[str, Any]], Callable[..., dict[str, Any]]]:
        """How a comparison makes a line, and what it is tested by."""
        over = self.over(comparison)
        if over == "seeds":
            return _line_of_seeds, _tested_by_seeds
        if over == "draws":
            return _line_of_draws, _tested_by_draws
        return _line_of_draws, partial(_tested_by_tests, self.shows(comparison))

    def shows(self, comparison: Comparison) -> bool:
        """Of a comparison over tests: whether it claims that something is shown, and not that nothing is."""
        side, term = (HIGH, comparison.more) if comparison.more.parts else (LOW, comparison.less)
        return all(self.tests[metric] == side for _, metric, _ in term.parts)


def _lines(claim: Claim, judge: Judge) -> list[dict[str, Any]]:
    """The lines of `evaluate` for one claim."""
    judged: list[dict[str, Any]] = []
    cellwise: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for one in claim.comparisons:
        values, (line, tests) = judge.values(claim, one), judge.ways(one)
        ((comparison, cells),) = compare(replace(claim, comparisons=(one,)), values)
        single = [(cell.name, [cell]) for cell in cells]
        averaged = claim.each and not claim.every
        groups = [(f"mean of {len(cells)} cell{'s' * (len(cells) > 1)}", cells)] if averaged else single
        tested = [line(comparison, of, values, name) | tests(comparison, of, values) for name, of in groups]
        shown = [line(comparison, of, values, name) for name, of in single] if averaged else tested
        judged += tested
        cellwise += shown
        lines += [*tested, *shown] if averaged else tested
    p, against, n = (np.array([made[key] for made in judged], dtype=float) for key in ("p", "p_against", "n"))
    results = verdicts.results(p, against, n)
    results = np.array([made.get("decided", str(result)) for made, result in zip(judged, results, strict=True)])
    for made, result, corrected in zip(judged, results, verdicts.holm(against), strict=True):
        made |= {"result": str(result), "p_against": corrected}
    valued = [made for made in cellwise if made["n"]]
    least = min(valued, key=lambda made: made["margin"], default={"margin": np.nan, "low": np.nan, "high": np.nan})
    verdict = str(verdicts.verdict(results))
    holds = all(made["margin"] > verdicts.SAME for made in judged)
    noise = _noise(claim, judge)
    if verdict in (UNDECIDED, REPRODUCED) and holds and noise >= LEVEL:
        verdict = NOISE
    if _waits(claim, judge):
        verdict = LATER
    over = {judge.over(comparison) for comparison in claim.comparisons}
    treatments = over == {"seeds"} and (~np.isnan(p) & (n == 1)).any()
    shared = {
        "claim": claim.id,
        "says": claim.says,
        "verdict": verdict,
        "over": "treatments" if treatments else " and ".join(sorted(over)),
        "cells": len(cellwise),
        "on_side": sum(made["margin"] > verdicts.SAME for made in valued),
        "smallest": least["margin"],
        "smallest_low": least["low"],
        "smallest_high": least["high"],
        "noise": noise,
    }
    return [{"result": "", **shared, **made} for made in lines]


def _noise(claim: Claim, judge: Judge) -> float:
    """The p that noise alone would meet a claim: the largest in the cells that its `beyond` names, NaN without."""
    smaller = [Comparison(f"{term.text} < {LEVEL}", Term(str(LEVEL), plus=LEVEL), term) for term in claim.beyond]
    found = compare(replace(claim, comparisons=tuple(smaller)), selected(claim, judge.of_all))
    margins = [cell.margins[~np.isnan(cell.margins)] for _, cells in found for cell in cells]
    return LEVEL - min((float(of.min()) for of in margins if len(of)), default=np.nan)


def _waits(claim: Claim, judge: Judge) -> bool:
    """Whether a value that a claim is about may yet come, in whatever cell."""
    for comparison in claim.comparisons:
        values = judge.values(claim, comparison)
        parts = [part for term in comparison.terms for part in term.parts + term.start]
        rows = {int(row) for _, metric, names in parts for row in values.rows(metric, names)}
        if any(row in rows and why.startswith(NOT_YET) for (row, _), why in values.reasons.items()):
            return True
    return False


def _line_of_seeds(comparison: Comparison, cells: Sequence[Cell], values: Values, name: str) -> dict[str, Any]:
    """A comparison, averaged over cells, without a judgement."""
    margins = _valued(cells)
    low, high = verdicts.interval(margins)
    averaged = max(len(cell.at) for cell in cells)
    return {
        "comparison": comparison.text + f" (average over {averaged})" * (averaged > 1),
        "cell": name,
        "n": len(margins),
        "margin": margins.mean() if len(margins) else np.nan,
        "sd": margins.std(ddof=1) if len(margins) > 1 else np.nan,
        "low": low,
        "high": high,
        "reason": _missing(cells, values),
    }


def _line_of_draws(comparison: Comparison, cells: Sequence[Cell], values: Values, name: str) -> dict[str, Any]:
    """As `_line_of_seeds`, of numbers that have no seeds: the first margin is theirs, the others are of bootstrap
    draws."""
    margins = _valued(cells)
    draws = margins.iloc[1:]
    low, high = draws.quantile([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) if len(draws) else (np.nan, np.nan)
    return {
        "comparison": comparison.text,
        "cell": name,
        "n": min(len(margins), 1),
        "margin": margins.iloc[0] if len(margins) else np.nan,
        "sd": draws.std(ddof=1) if len(draws) > 1 else np.nan,
        "low": low,
        "high": high,
        "reason": _missing(cells, values) if margins.empty else "",
    }


def _valued(cells: Sequence[Cell]) -> pd.Series:
    """The mean margin over cells of every seed that has one in each of them, by the seed's column."""
    return pd.Series(np.mean([cell.margins for cell in cells], axis=0)).dropna()


def _tested_by_draws(comparison: Comparison, cells: Sequence[Cell], values: Values) -> dict[str, Any]:
    """As `_tested_by_seeds`, by bootstrap draws."""
    margins = _valued(cells)
    p, against = verdicts.over_draws(margins.iloc[1:]) if len(margins) else (np.nan, np.nan)
    return {"p": p, "p_against": against, "sign_flip": np.nan}


def _tested_by_tests(shows: bool, comparison: Comparison, cells: Sequence[Cell], values: Values) -> dict[str, Any]:
    """`decided`: the verdict, where the test has said it that the numbers are the outcome of; see `Judge.shows`."""
    margins, nothing = _valued(cells), {"p": np.nan, "p_against": np.nan, "sign_flip": np.nan}
    if margins.empty:
        return nothing
    holds = margins.iloc[0] > verdicts.SAME
    return {**nothing, "decided": REPRODUCED if holds else UNDECIDED if shows else CONTRADICTED}


def _tested_by_seeds(comparison: Comparison, cells: Sequence[Cell], values: Values) -> dict[str, Any]:
    """What the tests say of a comparison, averaged over cells; the other side before Holm."""
    margins, missing = _valued(cells), _missing(cells, values)
    per_treatment = contributions(comparison, cells, values, int(margins.index[0])) if len(margins) == 1 else None
    if per_treatment is not None:
        compounds, moas = (per_treatment.index.get_level_values(key).tolist() for key in ("compound", "moa"))
        one = verdicts.over_treatments(per_treatment.to_numpy(), compounds, moas)
        why = f"the outcomes of {one.compounds} compounds and {one.moas} mechanisms differ" * bool(np.isnan(one.p))
        found: dict[str, Any] = {"p": one.p, "p_against": one.against, "sign_flip": np.nan}
        found |= {"compounds": one.compounds, "moas": one.moas, "mcnemar": one.mcnemar}
    else:
        p, against = verdicts.over_seeds(margins)
        why = "equal margins, no spread to judge by" * bool(len(margins) >= FEWEST_SEEDS and np.isnan(p))
        flip = verdicts.sign_flip(margins) if 0.5 ** len(margins) < LEVEL else np.nan
        found = {"p": float(p), "p_against": float(against), "sign_flip": flip}
    return found | {"reason": "; ".join(filter(None, [why, missing]))}


def contributions(comparison: Comparison, cells: Sequence[Cell], values: Values, seed: int) -> pd.Series | None:
    """A margin, averaged over cells, as the sum of what every treatment contributes to it.

    Args:
        seed: the column of the one training.

    Returns:
        In points of percent, under compound, concentration and mechanism of action; None where there are no outcomes,
        or those of other treatments on either side.
    """
    scored = all(map(_has_outcomes, (comparison.more, comparison.less)))
    if not scored or not set(TREATMENT) <= values.dimensions.keys():
        return None
    pieces: dict[str, list[pd.Series]] = {}
    for cell, (side, term) in itertools.product(cells, ((1, comparison.more), (-1, comparison.less))):
        for at, (weight, metric, names) in itertools.product(cell.at, term.parts):
            for outcome, factor in OUTCOMES[metric].items():
                right = _outcomes(values, values.rows(outcome, names, at), seed)
                share = 100 * side * weight * factor / len(cells) / len(cell.at) / max(len(right), 1)
                pieces.setdefault(outcome, []).append(share * right)
    for of in pieces.values():
        if any(piece.empty or not piece.index.equals(of[0].index) for piece in of):
            return None
    summed: pd.Series = pd.concat([piece for of in pieces.values() for piece in of]).groupby(level=TREATMENT).sum()
    return summed


def _has_outcomes(term: Term) -> bool:
    return bool(term.parts) and not (term.plus or term.start) and all(metric in OUTCOMES for _, metric, _ in term.parts)


def _outcomes(values: Values, rows: npt.NDArray[np.int64], seed: int) -> pd.Series:
    """Of each treatment, 1 for right and 0 for wrong, under compound, concentration and mechanism of action."""
    rows = rows[~np.isnan(values.values[rows, seed])]
    # As text, since the values of a dimension may be of several types.
    keys = [values.dimensions[key][rows].astype(str) for key in TREATMENT]
    right = pd.Series(values.values[rows, seed], pd.MultiIndex.from_arrays(keys, names=TREATMENT)).sort_index()
    if right.index.has_duplicates:
        twice = " ".join(right.index[right.index.duplicated()][0])
        raise UserError(f"claims: several outcomes of one run for the treatment {twice}; its records differ in more")
    return right


def _missing(cells: Sequence[Cell], values: Values) -> str:
    """Which seeds are missing, where and why."""
    found: dict[str, tuple[set[int], set[str]]] = {}
    for cell in cells:
        for seed, why in cell.missing:
            seeds, names = found.setdefault(why, (set(), set()))
            seeds.add(seed)
            names.add(cell.name)
    reasons = []
    for why, (seeds, names) in found.items():
        where = f" in {next(iter(names))}" if len(names) == 1 else f" in {len(names)} cells"
        where = "" if len(names) == len(cells) else where
        if len(seeds) == max(len(values.seeds), 1):
            reasons.append(why + where)
        else:
            numbers = ", ".join(str(values.seeds[seed]) for seed in sorted(seeds))
            reasons.append(f"seed{'s' * (len(seeds) > 1)} {numbers} missing{where}: {why}")
    return "; ".join(reasons)


def _innermost(claim: pd.DataFrame) -> pd.DataFrame:
    """The lines of single cells."""
    cells = claim[claim["result"] == ""]
    return claim if cells.empty else cells


def _spread(mean: float, low: float, high: float) -> str:
    if np.isnan(mean):
        return DASH
    return f"{mean:+.3g}" + ("" if np.isnan(low) else f" [{low:+.3g}, {high:+.3g}]")


def _p(line: Mapping[Any, Any]) -> str:
    if np.isnan(line["p"]):
        return DASH
    if line["result"] == CONTRADICTED:
        return f"{line['p_against']:.2g} against it"
    if not np.isnan(line["mcnemar"]):
        return f"{line['p']:.2g} (McNemar, treats treatments as independent: {line['mcnemar']:.2g})"
    return f"{line['p']:.2g} ({DASH if np.isnan(line['sign_flip']) else format(line['sign_flip'], '.2g')})"
