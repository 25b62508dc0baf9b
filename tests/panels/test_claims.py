from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.panels.conftest import record

from phenoviews.errors import UserError
from phenoviews.panels.claims import CANNOT, FEW, NOT, REPRODUCED, evaluate, load, markdown, write
from phenoviews.panels.records import COLUMNS, published

PANEL = {"scale": {"name": "demo", "note": "Demo scale."}}


def runs(values: dict, metric: str = "ami", **keys) -> pd.DataFrame:
    """Records of {transform: [value of seed 5, 6, ...]}."""
    lines = [record(t, 5 + i, metric, v, **keys) for t, column in values.items() for i, v in enumerate(column)]
    return pd.DataFrame(lines, columns=COLUMNS)


def claim(*holds: str, **more) -> list[dict]:
    return [{"id": "c", "says": "So it is.", "holds": list(holds), **more}]


def verdict(records: pd.DataFrame, *holds: str, **more) -> str:
    (only,) = set(evaluate(claim(*holds, **more), records)["verdict"])
    return only


HIGH, LOW = [0.80, 0.82, 0.81, 0.83, 0.79], [0.37, 0.30, 0.41, 0.35, 0.36]


def test_five_seeds_that_agree_are_enough_and_four_are_not():
    records = runs({"a": HIGH, "b": LOW})
    line = evaluate(claim("ami of a > ami of b"), records).iloc[0]
    assert (line["verdict"], line["n"]) == (REPRODUCED, 5)
    differences = np.subtract(HIGH, LOW)
    assert line["margin"] == pytest.approx(differences.mean())
    assert line["sd"] == pytest.approx(differences.std(ddof=1))
    assert line["p"] == pytest.approx(1 / 32)
    few = evaluate(claim("ami of a > ami of b"), runs({"a": HIGH[:4], "b": LOW[:4]})).iloc[0]
    assert (few["verdict"], few["n"]) == (FEW, 4)
    assert np.isnan(few["p"])


def test_p_is_that_of_all_sign_flips_by_hand():
    margins = np.array([0.3, -0.1, 0.2, 0.4, 0.05, -0.02])
    line = evaluate(claim("ami of a > 0"), runs({"a": margins})).iloc[0]
    flips = [np.dot(signs, margins) for signs in itertools.product([1, -1], repeat=6)]
    assert line["p"] == pytest.approx(np.mean([total >= margins.sum() - 1e-12 for total in flips]))


def test_one_seed_against_the_claim_is_too_much_for_five():
    assert verdict(runs({"a": HIGH, "b": [*LOW[:4], 0.80]}), "ami of a > ami of b") == NOT
    assert verdict(runs({"a": HIGH, "b": LOW}), "ami of a < ami of b") == NOT
    assert verdict(runs({"a": HIGH, "b": HIGH}), "ami of a > ami of b") == NOT


def test_seeds_are_paired_by_number_not_by_place():
    both = runs({"a": [1.0, 2.0, 3.0, 4.0, 5.0], "b": [0.9, 1.9, 2.9, 3.9, 4.9]})
    shuffled = both.sample(frac=1, random_state=0)
    line = evaluate(claim("ami of a > ami of b"), shuffled).iloc[0]
    assert line["margin"] == pytest.approx(0.1)
    assert line["sd"] == pytest.approx(0, abs=1e-12)
    partly = both[~((both["transform"] == "b") & (both["seed"] == 7))]
    assert evaluate(claim("ami of a > ami of b"), partly).iloc[0]["n"] == 4


def test_chains_numbers_and_falls():
    records = pd.concat([runs({"a": HIGH, "b": LOW}), runs({"a": [0.9] * 5, "b": [0.8] * 5}, "silhouette")])
    lines = evaluate(claim("0 < ami of b < ami of a < 1"), records)
    assert list(lines["comparison"]) == ["0 < ami of b", "ami of b < ami of a", "ami of a < 1"]
    assert list(lines["result"]) == [REPRODUCED] * 3
    falls = evaluate(claim("fall of ami from a to b > fall of silhouette from a to b"), records).iloc[0]
    expected = (1 - np.divide(LOW, HIGH)) - (1 - 0.8 / 0.9)
    assert falls["margin"] == pytest.approx(expected.mean())
    assert falls["verdict"] == REPRODUCED


def test_each_makes_the_comparison_for_every_combination():
    records = pd.concat(
        [runs({"a": HIGH, "b": LOW}, method=m, backbone=b) for m in ("byol", "moco") for b in ("vgg11", "resnet18")]
    )
    lines = evaluate(claim("ami of a > ami of b", each=["method", "backbone"]), records)
    assert len(lines) == 4
    assert lines["comparison"].iloc[0] == "byol, vgg11: ami of a > ami of b"
    assert set(lines["verdict"]) == {REPRODUCED}
    worse = records.copy()
    worse.loc[(worse[["transform", "method", "backbone"]] == ["a", "moco", "vgg11"]).all(axis=1), "value"] = 0.1
    lines = evaluate(claim("ami of a > ami of b", each=["method", "backbone"]), worse)
    assert set(lines["verdict"]) == {NOT}
    assert (lines["result"] == NOT).sum() == 1
    with pytest.raises(UserError, match="several values per seed"):
        evaluate(claim("ami of a > ami of b"), records)


def test_without_values_the_reason_is_told():
    lines = [record(t, s, "lpips", float("nan"), "no weights") for t in "ab" for s in range(5, 10)]
    records = pd.concat([runs({"a": HIGH, "b": LOW}), pd.DataFrame(lines, columns=COLUMNS)])
    found = evaluate(claim("lpips of a > lpips of b"), records).iloc[0]
    assert (found["verdict"], found["reason"], found["n"]) == (CANNOT, "no lpips: no weights", 0)
    assert "cannot say: no lpips: no weights" in markdown(evaluate(claim("lpips of a > lpips of b"), records), PANEL)
    assert verdict(records, "ami of a > ami of b", "lpips of a > lpips of b") == CANNOT
    assert verdict(records, "ami of a < ami of b", "lpips of a > lpips of b") == NOT
    absent = evaluate(claim("ami of c > ami of b"), records).iloc[0]
    assert (absent["verdict"], absent["reason"]) == (CANNOT, "no runs of ami of c")


@pytest.mark.parametrize(
    "text", ["ami of a", "ami of > ami of b", "ami for a > ami of b", "1 > 0", "ami of a >ami of b"]
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(UserError, match="claim c"):
        evaluate(claim(text), runs({"a": HIGH, "b": LOW}))


def test_the_published_values_bear_the_papers_own_claims_out(root):
    """Five equal seeds of what the paper prints reproduce every claim on it; names in the claims are the panels'."""
    for panel, count in (("no_free_lunch_table1", 5), ("no_free_lunch_table7", 1)):
        printed = published(root / "resources/published/no_free_lunch.csv", panel)
        records = pd.concat([printed.assign(seed=seed, reason=None, source="") for seed in range(5, 10)])
        claims = load(root / "resources/claims/no_free_lunch.yaml", panel)
        table = evaluate(claims, records)
        assert table["claim"].nunique() == count
        assert set(table["verdict"]) == {REPRODUCED}
        assert set(evaluate(claims, records[records["seed"] < 7])["verdict"]) == {FEW}


def test_every_claim_is_complete(root):
    for panel, claims in yaml.safe_load((root / "resources/claims/no_free_lunch.yaml").read_text()).items():
        assert panel.startswith("no_free_lunch_")
        for one in claims:
            assert set(one) - {"each"} == {"id", "says", "holds"}


def test_the_files_say_at_which_scale(tmp_path):
    table = evaluate(claim("ami of a > ami of b", "ami of a > 0.9"), runs({"a": HIGH[:2], "b": LOW[:2]}))
    text = markdown(table, PANEL)
    assert "at demo scale" in text
    assert "| c | too few runs to say | 1 of 2 | -0.09 | 2 | So it is. |" in text
    write(table, PANEL, tmp_path / "claims.csv")
    back = pd.read_csv(tmp_path / "claims.csv")
    assert len(back) == 2
    assert set(back["note"]) == {"Demo scale."}
    assert markdown(evaluate([], table), PANEL) == ""
