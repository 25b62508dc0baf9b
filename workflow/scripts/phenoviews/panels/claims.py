"""A paper's claims as predicates over measures, each with a verdict.

`resources/claims/{paper}.yaml` lists, under the name of a panel, claims of the form

    - id: A.T1.c1
      says: the claim in words
      each: [method, backbone]         optional: the comparisons are made for every combination of these keys
      holds:                           all of these have to hold
        - ami of mnist_first > ami of mnist_second
        - fall of ami from mnist_first to mnist_second > fall of silhouette from mnist_first to mnist_second
        - top1 < 90

A term is a number, a metric, `METRIC of NAME` (NAME: a dataset, transform, method or backbone) or
`fall of METRIC from NAME to NAME`, the relative fall (first - second) / first. A chain `a < b < c` is two comparisons.

The rule. A comparison is made within each seed; its margin is how far it holds there (negative: it does not). With at
least `ENOUGH` seeds it is *reproduced* if the mean margin is above zero at p < 0.05 in the one-sided sign-flip
permutation test, else *not reproduced*; five seeds are the fewest with which p < 0.05 can be reached (1/32, all five
on the claim's side). With fewer it is *too few runs to say*; without values, *cannot say*. A claim takes the worst
verdict of its comparisons; as all of them have to hold, p needs no correction for their number.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.stats import permutation_test

from phenoviews.errors import UserError
from phenoviews.files import write_text
from phenoviews.panels.table import GRID, markdown_row, plain_markdown

ENOUGH = 5
LEVEL = 0.05
REPRODUCED, NOT, FEW, CANNOT = "reproduced", "not reproduced", "too few runs to say", "cannot say"
WORST = [NOT, CANNOT, FEW, REPRODUCED]


def load(path: str | Path | None, panel: str) -> list[dict[str, Any]]:
    """The claims on one panel, by its full name; none is fine, and so is no file."""
    return [] if path is None else yaml.safe_load(Path(path).read_text()).get(panel, [])


def evaluate(claims: Sequence[Mapping[str, Any]], records: pd.DataFrame) -> pd.DataFrame:
    """One line per comparison.

    Args:
        claims: as above.
        records: as from `records.read`.

    Returns:
        claim, says, verdict (of the claim), comparison, result (verdict of the comparison), n (seeds), margin (mean
        over seeds, in the metric's unit), sd (sample standard deviation), p, reason (why there is no verdict).

    Raises:
        UserError: a comparison that cannot be read, or one that meets several values per seed.
    """
    lines = []
    for claim in claims:
        each = claim.get("each", [])
        found = [
            {"claim": claim["id"], "says": claim["says"], **line}
            for where, part in _parts(records, each)
            for comparison in claim["holds"]
            for line in _compare(comparison, part, where, claim["id"])
        ]
        verdict = min((line["result"] for line in found), key=WORST.index, default=CANNOT)
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
        cells = [
            claim,
            verdict,
            f"{(of['margin'] > 0).sum()} of {len(of)}",
            "\N{EM DASH}" if np.isnan(margin) else f"{margin:+.3g}",
            " to ".join(map(str, dict.fromkeys([seeds[0], seeds[-1]]))),
            of["says"].iloc[0],
        ]
        lines.append(markdown_row(map(plain_markdown, cells)))
    return "\n".join(lines) + "\n"


def _parts(records: pd.DataFrame, each: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
    """The records for every combination of the keys in `each`, with the combination's name."""
    parts = []
    for values in itertools.product(*(records[key].unique() for key in each)):
        part = records[(records[list(each)] == list(values)).all(axis=1)] if each else records
        parts.append((", ".join(values), part))
    return parts


def _compare(text: str, records: pd.DataFrame, where: str, claim: str) -> list[dict[str, Any]]:
    terms = re.split(r"\s+([<>])\s+", text.strip())
    if len(terms) < 3:
        raise UserError(f"claim {claim}: '{text}' compares nothing; write `a > b` or `a < b < c`")
    lines = []
    for left, sign, right in zip(terms[::2], terms[1::2], terms[2::2], strict=False):
        (a, why_a), (b, why_b) = (_term(term, records, claim) for term in (left, right))
        margins = (a - b if sign == ">" else b - a) if not why_a + why_b else pd.Series(dtype=float)
        if isinstance(margins, float):
            raise UserError(f"claim {claim}: '{text}' compares two numbers; name a metric")
        lines.append({"comparison": f"{where}: " * bool(where) + f"{left} {sign} {right}", **_judge(margins.dropna())})
        lines[-1]["reason"] = "; ".join(dict.fromkeys(why_a + why_b))
    return lines


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


def _term(text: str, records: pd.DataFrame, claim: str) -> tuple[pd.Series | float, list[str]]:
    """The values of a term by seed, or a number; and why there are none."""
    try:
        return float(text), []
    except ValueError:
        pass
    if fall := re.fullmatch(r"fall of (\S+) from (\S+) to (\S+)", text):
        metric, first, second = fall.groups()
        (a, why_a), (b, why_b) = (_values(metric, name, records, claim) for name in (first, second))
        return (a - b) / a.where(a > 0), why_a + why_b
    if plain := re.fullmatch(r"(\S+)(?: of (\S+))?", text):
        return _values(plain[1], plain[2], records, claim)
    raise UserError(
        f"claim {claim}: '{text}' cannot be read; write `METRIC`, `METRIC of NAME`, `fall of METRIC from NAME to NAME` "
        "or a number"
    )


def _values(metric: str, name: str | None, records: pd.DataFrame, claim: str) -> tuple[pd.Series, list[str]]:
    of = records[records["metric"] == metric]
    if name is not None:
        of = of[(of[GRID] == name).any(axis=1)]
    told = metric if name is None else f"{metric} of {name}"
    if of["seed"].duplicated().any():
        raise UserError(f"claim {claim}: '{told}' has several values per seed; name the other keys under `each`")
    valued = of[of["value"].notna()]
    if of.empty:
        return pd.Series(dtype=float), [f"no runs of {told}"]
    reasons = [] if len(valued) else [f"no {metric}: {why}" for why in of["reason"].unique()]
    return valued.set_index("seed")["value"], reasons
