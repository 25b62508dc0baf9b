"""A paper's claims as predicates over measures, each with a verdict.

`resources/claims/{paper}.yaml` lists, under the name of a panel, claims of the form

    - id: A.T1.c1
      says: the claim in words
      where: {dose: [1, 2, 3, 4]}      optional: only the records that have one of these values; postprocessing: [tvn]
      each: [method, backbone]         optional: the comparisons are made for every combination of these keys
      average: [dataset]               optional: their margins are averaged over these keys within each seed
      holds:                           all of these have to hold
        - ami of mnist_first > ami of mnist_second
        - fall of ami from mnist_first to mnist_second > fall of silhouette from mnist_first to mnist_second
        - ami of dual > fixed ami of imagenet/vgg16
        - top1 < 90
        - nscb of none > nscb of whitening - 2

A term is a number, a metric, `METRIC of NAME` (NAME: a dataset, transform, method, backbone or post-processing as the
paper has it, or several of them joined by `/`; what stands in for it at a scale takes its place) or `fall of METRIC
from NAME to NAME`, the relative fall (first - second) / first. Several metrics joined by a comma are their mean. Of a
metric a number may be taken or added, in its unit: `a > b - 0.5` allows a to be worse by less than that, and
`b - 2 < a < b + 2` says how far two may differ that are called equal. A chain `a < b < c` is two comparisons.

The combinations of `each` and `average` are those that occur among the terms that name none of these keys; a term that
names one has its own value of it: with `each: [method]`, `ami of dual > ami of imagenet/vgg16` compares every method's
`dual` with the same run.

The rule. A comparison is made within each seed; its margin is how far it holds there (negative: it does not). With at
least `ENOUGH` seeds it is *reproduced* if the mean margin is above zero at p < 0.05 in the one-sided sign-flip
permutation test, else *not reproduced*; five seeds are the fewest with which p < 0.05 can be reached (1/32, all five
on the claim's side). With fewer it is *too few runs to say*; without values, *cannot say*. A claim takes the worst
verdict of its comparisons; as all of them have to hold, p needs no correction for their number.

`fixed` marks a term that no seed changes, such as the AMI of an encoder that is not trained here: its one value is
compared with every seed of the other term. Seeds are then those of the other term, and p says whether its mean over
trainings is beyond that number, not how well the number itself is known. Without `fixed` only equal seeds are compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.stats import permutation_test

from phenoviews.errors import UserError
from phenoviews.files import write_text
from phenoviews.panels.table import KEYS, NAMED, markdown_row, plain_markdown
from phenoviews.study.names import stand_in

ENOUGH = 5
LEVEL = 0.05
REPRODUCED, NOT, FEW, CANNOT = "reproduced", "not reproduced", "too few runs to say", "cannot say"
WORST = [NOT, CANNOT, FEW, REPRODUCED]


def load(path: str | Path | None, panel: str) -> list[dict[str, Any]]:
    """The claims on one panel, by its full name; none is fine, and so is no file."""
    return [] if path is None else yaml.safe_load(Path(path).read_text()).get(panel, [])


def evaluate(
    claims: Sequence[Mapping[str, Any]], records: pd.DataFrame, stand_ins: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """One line per comparison.

    Args:
        claims: as above.
        records: as from `records.read`; more columns may be there for `where`, `each` and `average`.
        stand_ins: {a name in the claims: the name in the records}; names without an entry are the same in both.

    Returns:
        claim, says, verdict (of the claim), comparison, result (verdict of the comparison), n (seeds), margin (mean
        over seeds, in the metric's unit), sd (sample standard deviation), p, reason (why there is no verdict).

    Raises:
        UserError: a comparison that cannot be read, or one that meets several values per seed.
    """
    records = records.astype(dict.fromkeys(KEYS, object))  # compared often, and faster so
    lines = []
    for claim in claims:
        part = records
        for key, values in claim.get("where", {}).items():
            part = part[part[key].isin([stand_in(v, stand_ins) if isinstance(v, str) else v for v in values])]
        found = [
            {"claim": claim["id"], "says": claim["says"], **line}
            for comparison in claim["holds"]
            for line in _compare(comparison, claim, part, stand_ins)
        ]
        verdict = min((line["result"] for line in found), key=WORST.index)
        lines += [{**line, "verdict": verdict} for line in found]
    columns = ["claim", "says", "verdict", "comparison", "result", "n", "margin", "sd", "p", "reason"]
    return pd.DataFrame(lines, columns=columns)


def write(claims: pd.DataFrame, panel: Mapping[str, Any], csv: str | Path) -> None:
    """Write the comparisons as CSV, each with the scale at which the numbers were made."""
    scale = {"scale": panel["scale"]["name"], "note": panel["scale"]["note"]}
    write_text(csv, claims.assign(**scale).to_csv(index=False))


def markdown(claims: pd.DataFrame, panel: Mapping[str, Any]) -> str:
    """The verdicts as a Markdown table, one line per claim; "" where there are none."""
    if claims.empty:
        return ""
    scale = panel["scale"]["name"]
    lines = [
        f"The paper's claims{'' if scale == 'paper' else f' at {scale} scale'}, compared seed by seed (one-sided "
        f"sign-flip permutation test, p < {LEVEL}, at least {ENOUGH} seeds):",
        "",
        markdown_row(
            ["Claim", "Verdict", "Comparisons on its side", "Smallest mean margin", "Seeds", "What is claimed"]
        ),
        markdown_row(["---", "---", "---:", "---:", "---:", "---"]),
    ]
    for claim, of in claims.groupby("claim", sort=False):
        reasons = list(dict.fromkeys(filter(None, of["reason"])))
        verdict = of["verdict"].iloc[0] + (f": {'; '.join(reasons)}" if of["verdict"].iloc[0] == CANNOT else "")
        margin = of["margin"].min()
        seeds = sorted(set(of["n"]))
        without = (of["n"] == 0).sum()
        cells = [
            claim,
            verdict,
            f"{(of['margin'] > 0).sum()} of {len(of)}" + f", {without} without values" * bool(0 < without < len(of)),
            "\N{EM DASH}" if np.isnan(margin) else f"{margin:+.3g}",
            " to ".join(map(str, dict.fromkeys([seeds[0], seeds[-1]]))),
            of["says"].iloc[0],
        ]
        lines.append(markdown_row(map(plain_markdown, cells)))
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class _Term:
    """One side of a comparison: a number, a metric (and a number added to it), or how far a metric falls."""

    number: float | None = None
    fixed: bool = False
    plus: float = 0.0
    of: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (metric, names); for a fall twice, from and to


def _parse(text: str, claim: str, stand_ins: Mapping[str, str]) -> _Term:
    def names(path: str | None) -> tuple[str, ...]:
        return tuple(stand_in(name, stand_ins) for name in path.split("/")) if path else ()

    try:
        return _Term(number=float(text))
    except ValueError:
        pass
    if fall := re.fullmatch(r"fall of (\S+) from (\S+) to (\S+)", text):
        metric, first, second = fall.groups()
        return _Term(of=((metric, names(first)), (metric, names(second))))
    if plain := re.fullmatch(r"(fixed )?(\S+)(?: of (\S+))?(?: ([+-]) (\d+(?:\.\d+)?))?", text):
        fixed, metric, path, sign, number = plain.groups()
        return _Term(
            fixed=fixed is not None, plus=float(f"{sign}{number}") if sign else 0.0, of=((metric, names(path)),)
        )
    raise UserError(
        f"claim {claim}: '{text}' cannot be read; write `METRIC`, `METRIC of NAME`, either with `+ NUMBER` or "
        "`- NUMBER`, `fall of METRIC from NAME to NAME` or a number"
    )


def _compare(
    text: str, claim: Mapping[str, Any], records: pd.DataFrame, stand_ins: Mapping[str, str]
) -> list[dict[str, Any]]:
    terms = re.split(r"\s+([<>])\s+", text.strip())
    if len(terms) < 3:
        raise UserError(f"claim {claim['id']}: '{text}' compares nothing; write `a > b` or `a < b < c`")
    each, average = claim.get("each", []), claim.get("average", [])
    lines = []
    for left, sign, right in zip(terms[::2], terms[1::2], terms[2::2], strict=False):
        pair = [_parse(term, claim["id"], stand_ins) for term in (left, right)]
        if all(term.number is not None for term in pair):
            raise UserError(f"claim {claim['id']}: '{text}' compares two numbers; name a metric")
        parts: dict[tuple, list[tuple[pd.Series, list[str]]]] = {}
        for names in _combinations(pair, [*each, *average], records, claim["id"]):
            at = dict(zip([*each, *average], names, strict=True))
            parts.setdefault(names[: len(each)], []).append(_margins(pair, sign, records, at, claim["id"]))
        for names, found in parts.items():
            # A seed that is missing in one of them would shift the average.
            margins = pd.concat([margins for margins, _ in found], axis=1).dropna().mean(axis=1)
            reasons = dict.fromkeys(reason for _, why in found for reason in why)
            where = f"{', '.join(map(str, names))}: " * bool(names)
            over = f" (average over {len(found)} of {', '.join(average)})" * bool(average)
            lines.append({"comparison": f"{where}{left} {sign} {right}{over}", **_judge(margins)})
            lines[-1]["reason"] = "; ".join(reasons)
    return lines


def _combinations(pair: Sequence[_Term], keys: list[str], records: pd.DataFrame, claim: str) -> list[tuple]:
    """The combinations of the keys that a comparison is made for, in the order of the records."""
    if not keys:
        return [()]
    bound = [(metric, names) for term in pair for metric, names in term.of]
    open_ = [_of(records, *of) for of in bound if not _axes(records, of[1]) & set(keys)]
    if not open_:
        raise UserError(f"claim {claim}: every term names one of `{', '.join(keys)}`; take that key out of `each`")
    # Where there are no runs at all, one comparison is left to say so.
    return list(dict.fromkeys(pd.concat(open_)[keys].itertuples(index=False, name=None))) or [("any",) * len(keys)]


def _margins(
    pair: Sequence[_Term], sign: str, records: pd.DataFrame, at: Mapping[str, Any], claim: str
) -> tuple[pd.Series, list[str]]:
    """How far a comparison holds, by seed; and why it cannot be made."""
    (a, why_a), (b, why_b) = (_values(term, records, at, claim) for term in pair)
    if why_a + why_b:
        return pd.Series(dtype=float), why_a + why_b
    margins = a - b if sign == ">" else b - a
    return margins.dropna() if isinstance(margins, pd.Series) else pd.Series([margins]), []


def _judge(margins: pd.Series) -> dict[str, Any]:
    n = len(margins)
    if n == 0:
        return {"result": CANNOT, "n": 0, "margin": np.nan, "sd": np.nan, "p": np.nan}
    values = margins.to_numpy(float)
    line = {"n": n, "margin": values.mean(), "sd": values.std(ddof=1) if n > 1 else np.nan, "p": np.nan}
    if n < ENOUGH:
        return {"result": FEW, **line}
    test = permutation_test(
        (values,), np.mean, permutation_type="samples", alternative="greater", n_resamples=2**13, random_state=0
    )
    return {"result": REPRODUCED if test.pvalue < LEVEL else NOT, **line, "p": float(test.pvalue)}


def _values(
    term: _Term, records: pd.DataFrame, at: Mapping[str, Any], claim: str
) -> tuple[pd.Series | float, list[str]]:
    """The values of a term by seed, or one number; and why there are none."""
    if term.number is not None:
        return term.number, []
    found, reasons = [], []
    for metric, names in term.of:
        of = _of(records, metric, names, at)
        told = metric + f" of {'/'.join(names)}" * bool(names)
        if of.duplicated(["seed", "metric"]).any():
            raise UserError(f"claim {claim}: '{told}' has several values per seed; name the other keys under `each`")
        # A seed that has only one of several metrics would shift their mean.
        by_seed = of.pivot(index="seed", columns="metric", values="value").reindex(columns=metric.split(","))
        valued = by_seed.dropna().mean(axis=1) + term.plus
        found.append(valued)
        if of.empty:
            reasons.append(f"no runs of {told}")
        elif valued.empty:
            missing = of[of["value"].isna()]
            reasons += [f"no {metric}: {why}" for why in missing["reason"].unique()]
    if len(found) == 2:
        return (found[0] - found[1]) / found[0].where(found[0] > 0), reasons
    return (found[0].iloc[0] if term.fixed and len(found[0]) == 1 else found[0]), reasons


def _of(
    records: pd.DataFrame, metric: str, names: Sequence[str], at: Mapping[str, Any] = MappingProxyType({})
) -> pd.DataFrame:
    """The records of a metric (or several) that have all of these names, and the values `at` of what these are not
    names of."""
    found = records["metric"].isin(metric.split(",")).to_numpy()
    for name in names:
        found = found & np.any([records[key] == name for key in NAMED], axis=0)
    own = _axes(records, names) if at else set()
    for key in at.keys() - own:
        found = found & (records[key] == at[key]).to_numpy()
    return records[found]


def _axes(records: pd.DataFrame, names: Sequence[str]) -> set[str]:
    """Of what these are names."""
    return {key for key in NAMED for name in names if (records[key] == name).any()}
