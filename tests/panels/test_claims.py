from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import yaml
from tests.panels.conftest import printed, record

from phenoviews.errors import UserError
from phenoviews.panels.claims import contributions, evaluate, markdown, write
from phenoviews.panels.comparisons import Values, compare, read
from phenoviews.panels.verdicts import CANNOT, CONTRADICTED, FEW, REPRODUCED, UNDECIDED
from phenoviews.study import resources
from phenoviews.study.metrics import AXES
from phenoviews.study.panel import Panel

COLUMNS = [*AXES, "seed", "postprocessing", "metric", "value", "reason", "source"]

PANEL = {"scale": {"name": "demo", "note": "Demo scale."}}
NAN = float("nan")


def runs(values: dict, metric: str = "ami", **keys) -> pd.DataFrame:
    """Records of {transform: [value of seed 5, 6, ...]}; a text is the reason why there is no value."""
    told = [(t, 5 + i, v) for t, column in values.items() for i, v in enumerate(column)]
    lines = [
        record(t, seed, metric, NAN if isinstance(v, str) else v, v if isinstance(v, str) else None, **keys)
        for t, seed, v in told
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def claim(*holds: str, **more) -> list[dict]:
    return [{"id": "c", "says": "So it is.", "holds": list(holds), **more}]


def verdict(records: pd.DataFrame, *holds: str, **more) -> str:
    (only,) = set(evaluate(claim(*holds, **more), records)["verdict"])
    return only


HIGH, LOW = [0.80, 0.82, 0.81, 0.83, 0.79], [0.37, 0.30, 0.41, 0.35, 0.36]


# ------------------------------------------------------------------------------------------------------ one comparison
def test_a_comparison_is_made_within_each_seed():
    line = evaluate(claim("ami of a > ami of b"), runs({"a": HIGH, "b": LOW})).iloc[0]
    differences = np.subtract(HIGH, LOW)
    assert (line["verdict"], line["result"], line["n"], line["over"]) == (REPRODUCED, REPRODUCED, 5, "seeds")
    assert line["margin"] == line["smallest"] == pytest.approx(differences.mean())
    assert line["sd"] == pytest.approx(differences.std(ddof=1))
    half = 2.13185 * differences.std(ddof=1) / np.sqrt(5)  # Student's t, 4 degrees of freedom, .95
    assert (line["low"], line["high"]) == pytest.approx(
        (differences.mean() - half, differences.mean() + half), abs=1e-5
    )
    assert (line["smallest_low"], line["smallest_high"]) == (line["low"], line["high"])
    assert line["p"] < 1e-4
    assert line["sign_flip"] == 1 / 32
    four = evaluate(claim("ami of a > ami of b"), runs({"a": HIGH[:4], "b": LOW[:4]})).iloc[0]
    assert four["verdict"] == REPRODUCED
    assert np.isnan(four["sign_flip"])  # it ends at 1/16
    few = evaluate(claim("ami of a > ami of b"), runs({"a": HIGH[:2], "b": LOW[:2]})).iloc[0]
    assert (few["verdict"], few["n"]) == (FEW, 2)


def test_either_side_and_neither():
    assert verdict(runs({"a": HIGH, "b": LOW}), "ami of a < ami of b") == CONTRADICTED
    assert verdict(runs({"a": HIGH, "b": HIGH}), "ami of a > ami of b") == UNDECIDED
    assert verdict(runs({"a": HIGH, "b": [0.9, 0.7, 0.9, 0.8, 0.79]}), "ami of a > ami of b") == UNDECIDED
    # All are the same: no spread, and three signs are too few.
    assert verdict(runs({"a": [0.5] * 3, "b": [0.4] * 3}), "ami of a > ami of b") == FEW
    told = markdown(evaluate(claim("ami of a > ami of b"), runs({"a": [0.5] * 3, "b": [0.4] * 3})), PANEL)
    assert "too few runs: equal margins, no spread to judge by" in told


def test_seeds_are_paired_by_number_not_by_place():
    both = runs({"a": [1.0, 2.0, 3.0, 4.0, 5.0], "b": [0.9, 1.9, 2.9, 3.9, 4.9]})
    shuffled = both.sample(frac=1, random_state=0)
    line = evaluate(claim("ami of a > ami of b"), shuffled).iloc[0]
    assert line["margin"] == pytest.approx(0.1)
    assert line["sd"] == pytest.approx(0, abs=1e-12)
    partly = both[~((both["transform"] == "b") & (both["seed"] == 7))]
    line = evaluate(claim("ami of a > ami of b"), partly).iloc[0]
    assert line["n"] == 4
    assert line["reason"].endswith("; seed 7 missing: no runs of ami of b")


def test_chains_numbers_falls_and_gains():
    records = pd.concat([runs({"a": HIGH, "b": LOW}), runs({"a": [0.9] * 5, "b": [0.8] * 5}, "silhouette")])
    lines = evaluate(claim("0 < ami of b < ami of a < 1"), records)
    assert list(lines["comparison"]) == ["0 < ami of b", "ami of b < ami of a", "ami of a < 1"]
    assert list(lines["result"]) == [REPRODUCED] * 3
    falls = evaluate(claim("fall of ami from a to b > fall of silhouette from a to b"), records).iloc[0]
    expected = (1 - np.divide(LOW, HIGH)) - (1 - 0.8 / 0.9)
    assert falls["margin"] == pytest.approx(expected.mean())
    assert falls["verdict"] == REPRODUCED
    gains = evaluate(claim("gain of ami from b to a > gain of silhouette from b to a"), records).iloc[0]
    assert gains["margin"] == pytest.approx(np.subtract(HIGH, LOW).mean() - 0.1)


def test_nothing_falls_from_zero():
    line = evaluate(claim("fall of ami from a to b > 0.1"), runs({"a": [0.8, 0.0], "b": [0.4, 0.4]})).iloc[0]
    assert (line["n"], line["margin"]) == (1, pytest.approx(0.4))
    assert line["reason"] == "seed 6 missing: fall of ami from a to b: it starts at 0"


def test_several_metrics_are_their_mean_within_each_seed():
    nsc, nscb = {"a": [90.0, 80.0], "b": [80.0, 80.0]}, {"a": [70.0, 60.0], "b": [74.0, 70.0]}
    both = pd.concat([runs(nsc, "nsc"), runs(nscb, "nscb")])
    line = evaluate(claim("nsc,nscb of a > nsc,nscb of b"), both).iloc[0]
    assert line["margin"] == pytest.approx(np.mean([(10 - 4) / 2, (0 - 10) / 2]))
    # A seed without one of them is left out.
    gap = both[~((both["metric"] == "nscb") & (both["seed"] == 6))]
    assert evaluate(claim("nsc,nscb of a > nsc,nscb of b"), gap).iloc[0]["margin"] == pytest.approx(3)
    alone = evaluate(claim("nsc,nscb of a > 1"), runs(nsc, "nsc")).iloc[0]
    assert (alone["verdict"], alone["n"]) == (CANNOT, 0)


def test_a_tolerance_is_a_number_added_to_a_metric():
    records = runs({"a": [90.0], "b": [92.0]}, "nsc")
    lines = evaluate(claim("nsc of b - 3 < nsc of a < nsc of b + 1", "nsc of a > nsc of b - 1.5"), records)
    assert list(lines["margin"]) == pytest.approx([1, 3, -0.5])


def test_overrides_stay_with_what_stands_in():
    records = runs({"s+x=off": HIGH, "s": LOW})
    assert set(evaluate(claim("ami of t+x=off > ami of t"), records, {"t": "s"})["verdict"]) == {REPRODUCED}


@pytest.mark.parametrize(
    "text",
    [
        "ami of a",
        "ami of > ami of b",
        "ami for a > ami of b",
        "1 > 0",
        "ami of a >ami of b",
        "ami of a -3 > ami of b",
        "fall of ami from a > 0",
        "fixed ami of a > 0",
    ],
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(UserError, match="claim c"):
        evaluate(claim(text), runs({"a": HIGH, "b": LOW}))


@pytest.mark.parametrize(
    "more", [{"Each": ["method"]}, {"every_cell": "also"}, {"each": ["method"], "every_cell": True}, {"each": ["dose"]}]
)
def test_keys_that_mean_nothing_are_refused(more):
    with pytest.raises(UserError, match="claim c"):
        evaluate(claim("ami of a > ami of b", **more), runs({"a": HIGH, "b": LOW}))
    with pytest.raises(UserError, match="claim c: says"):
        evaluate([{"id": "c", "holds": ["ami of a > 0"]}], runs({"a": HIGH}))


# --------------------------------------------------------------------------------------------------------------- cells
def table2(values: dict, datasets=("d",)) -> pd.DataFrame:
    """Records of Table 2: {(transform, method, backbone): values of seed 5, 6, ...}, equal for all datasets."""
    parts = [
        runs({transform: column}, method=method, backbone=backbone, dataset=dataset)
        for dataset in datasets
        for (transform, method, backbone), column in values.items()
    ]
    return pd.concat(parts)


TRAINED = {("first", m, b): LOW for m in ("moco", "byol") for b in ("vgg13", "resnet18")}
TRAINED |= {("dual", m, b): HIGH for m in ("moco", "byol") for b in ("vgg13", "resnet18")}
ALL = ["dataset", "method", "backbone"]


def test_a_claim_over_cells_is_judged_by_their_mean_within_each_seed_and_the_cells_are_shown():
    """One cell of two is against the claim by a little, the other for it by much."""
    much, little = {"a": HIGH, "b": LOW}, {"a": [0.30, 0.28, 0.31, 0.29, 0.30], "b": [0.31, 0.30, 0.32, 0.30, 0.32]}
    records = pd.concat([runs(much, dataset="d"), runs(little, dataset="e")])
    lines = evaluate(claim("ami of a > ami of b", each=["dataset"], every_cell="also"), records)
    assert list(lines["claim"]) == ["c"] * 3 + ["c.every"] * 2
    assert list(lines["cell"]) == ["mean of 2 cells", "d", "e", "d", "e"]
    assert list(lines["result"]) == [REPRODUCED, "", "", REPRODUCED, CONTRADICTED]
    assert list(lines["verdict"]) == [REPRODUCED] * 3 + [CONTRADICTED] * 2
    margins = [np.subtract(values["a"], values["b"]) for values in (much, little)]
    mean = np.mean(margins, axis=0)
    assert lines["margin"].iloc[0] == pytest.approx(mean.mean())
    assert lines["sd"].iloc[0] == pytest.approx(mean.std(ddof=1))
    assert lines["p"].iloc[1:3].isna().all()  # what is shown is not judged
    for _, of in lines.groupby("claim"):
        assert set(zip(of["on_side"], of["cells"], strict=True)) == {(1, 2)}
        assert of["smallest"].iloc[0] == pytest.approx(margins[1].mean())
        assert of["smallest_low"].iloc[0] < of["smallest"].iloc[0] < of["smallest_high"].iloc[0] < 0
    assert lines["says"].iloc[-1] == "So it is. So for each dataset."
    only = evaluate(claim("ami of a > ami of b", each=["dataset"], every_cell="only"), records)
    assert set(only["claim"]) == {"c"}
    assert list(only["result"]) == [REPRODUCED, CONTRADICTED]


def test_the_strict_form_is_contradicted_only_after_holm():
    """A cell against the claim at p = .03 contradicts it alone, but not as one of eighteen."""
    against = np.array([-0.01, -0.05, -0.03, 0.005, -0.03])  # p = .038
    alone = runs({"a": against + 0.5, "b": [0.5] * 5})
    assert verdict(alone, "ami of a > ami of b", each=["dataset"], every_cell="only") == CONTRADICTED
    others = [runs({"a": HIGH, "b": LOW}, dataset=f"d{number}") for number in range(17)]
    lines = evaluate(claim("ami of a > ami of b", each=["dataset"], every_cell="only"), pd.concat([alone, *others]))
    assert set(lines["verdict"]) == {UNDECIDED}
    assert lines["p_against"].iloc[0] == pytest.approx(
        18 * evaluate(claim("ami of a > ami of b"), alone)["p_against"].iloc[0]
    )


def test_a_conjunction_of_different_metrics_takes_the_worst_verdict():
    records = pd.concat([runs({"a": HIGH, "b": LOW}), runs({"a": [90.0, 91, 92, 93, 94], "b": [91.0] * 5}, "top1")])
    lines = evaluate(claim("ami of a > ami of b", "top1 of a > top1 of b"), records)
    assert list(lines["result"]) == [REPRODUCED, UNDECIDED]
    assert set(lines["verdict"]) == {UNDECIDED}
    told = markdown(lines, PANEL)
    assert "| undecided | +1 [-0.507, +2.51] |" in told  # of the comparison that decides


def test_each_leaves_out_what_the_comparison_is_not_about():
    """Pretrained encoders have neither of the two sets: no comparison is made of them."""
    records = table2({**TRAINED, ("plain", "imagenet", "vgg16"): [0.5] * 5}, datasets=("d", "e"))
    strict = {"each": ALL, "every_cell": "only"}
    lines = evaluate(claim("ami of dual > ami of first", **strict), records)
    assert len(lines) == 8
    assert set(lines["verdict"]) == {REPRODUCED}
    # One that should be there and is not, is told.
    gap = records[~(records[["transform", "method", "backbone"]] == ["first", "moco", "vgg13"]).all(axis=1)]
    lines = evaluate(claim("ami of dual > ami of first", **strict), gap)
    assert (len(lines), set(lines["verdict"])) == (8, {CANNOT})
    assert set(lines.loc[lines["n"] == 0, "reason"]) == {"no runs of ami of first"}
    assert "6 of 8, 2 without values" in markdown(lines, PANEL)
    # The mean over what is left would be of something else.
    mean = evaluate(claim("ami of dual > ami of first", each=ALL), gap).iloc[0]
    assert (mean["verdict"], mean["reason"]) == (CANNOT, "no runs of ami of first in 2 cells")
    nothing = evaluate(claim("ami of x > ami of y", each=ALL), records).iloc[0]
    assert (nothing["verdict"], nothing["reason"]) == (CANNOT, "no runs of ami of x; no runs of ami of y")
    with pytest.raises(UserError, match="every term names one of `method`"):
        evaluate(claim("ami of moco > ami of byol", each=["method"]), records)
    with pytest.raises(UserError, match="several values per seed"):
        evaluate(claim("ami of dual > ami of first"), records)


def test_a_term_that_names_a_dimension_has_its_own_value_of_it():
    """Every method and backbone is compared with the same encoder, within each seed."""
    frozen = [0.50, 0.52, 0.49, 0.51, 0.50]
    records = table2({**TRAINED, ("plain", "imagenet", "vgg16"): frozen})
    lines = evaluate(claim("ami of dual > ami of imagenet/vgg16", each=ALL, every_cell="only"), records)
    assert len(lines) == 4
    assert set(lines["n"]) == {5}
    assert set(lines["verdict"]) == {REPRODUCED}
    assert lines["sd"].iloc[0] == pytest.approx(np.subtract(HIGH, frozen).std(ddof=1))
    # Without its backbone the pretrained run is looked for under each backbone of the trained ones.
    vague = evaluate(claim("ami of dual > ami of imagenet", each=ALL), records).iloc[0]
    assert (vague["verdict"], vague["reason"]) == (CANNOT, "no runs of ami of imagenet")
    # One seed of the encoder is compared with that seed alone.
    one = evaluate(
        claim("ami of dual > ami of imagenet/vgg16", each=ALL),
        table2({**TRAINED, ("plain", "imagenet", "vgg16"): [0.5]}),
    ).iloc[0]
    assert (one["verdict"], one["n"]) == (FEW, 1)
    assert one["reason"] == "seeds 6, 7, 8, 9 missing: no runs of ami of imagenet/vgg16"


def test_claims_follow_the_stand_ins():
    untrained = {("plain", "untrained", "vgg16"): [0.50, 0.51, 0.5, 0.52, 0.5]}
    records = table2({**TRAINED, **untrained}, datasets=("simulated_taxol",))
    stand_ins = {"cells_taxol": "simulated_taxol", "imagenet": "untrained"}
    one = claim("ami of dual/cells_taxol > ami of imagenet/vgg16", each=["method", "backbone"])
    assert set(evaluate(one, records, stand_ins)["verdict"]) == {REPRODUCED}
    assert set(evaluate(one, records)["verdict"]) == {CANNOT}
    where = claim("ami of dual > ami of first", each=ALL, where={"dataset": ["cells_taxol"]})
    assert len(evaluate(where, records, stand_ins)) == 5


def test_an_average_is_taken_within_each_cell_and_seed():
    values = {"a": [[0.5, 0.1], [0.6, 0.3], [0.7, 0.3], [0.5, 0.2], [0.6, 0.2]], "b": [[0.4, 0.15]] * 5}
    records = pd.concat(
        [runs({t: [pair[i] for pair in column] for t, column in values.items()}, dataset="de"[i]) for i in (0, 1)]
    )
    lines = evaluate(claim("ami of a > ami of b", average=["dataset"]), records)
    margins = np.mean(values["a"], axis=1) - np.mean(values["b"], axis=1)
    assert len(lines) == 1
    assert lines["margin"].iloc[0] == pytest.approx(margins.mean())
    assert lines["sd"].iloc[0] == pytest.approx(margins.std(ddof=1))
    assert lines["comparison"].iloc[0] == "ami of a > ami of b (average over 2)"
    # What is averaged is not a cell: one of the two goes against it, and the strict form does not see it.
    two = pd.concat([records, records.assign(method="byol")])
    strict = {"each": ["method"], "every_cell": "only"}
    assert len(evaluate(claim("ami of a > ami of b", average=["dataset"], **strict), two)) == 2
    # A seed that one of the two has not is left out; nothing is averaged over what is left.
    gap = records[~((records["dataset"] == "e") & (records["seed"] == 9))]
    assert evaluate(claim("ami of a > ami of b", average=["dataset"]), gap).iloc[0]["n"] == 4


def test_any_column_of_the_records_is_a_dimension():
    """Numbers as well: a concentration, a class; NaN and "" where a metric does not have it."""
    curves = [
        runs({"a": np.add(HIGH, dose / 100), "b": LOW}).assign(concentration=10.0**-dose, dose=dose, regime="linear")
        for dose in (1, 2, 3)
    ]
    other = runs({"a": [90.0] * 5}, "top1").assign(concentration=NAN, dose=None, regime="finetuned")
    records = pd.concat([*curves, other])
    lines = evaluate(claim("ami of a > ami of b", where={"dose": [1, 2]}, each=["concentration"]), records)
    assert list(lines["cell"]) == ["mean of 2 cells", "0.1", "0.01"]
    assert list(lines["margin"].diff()[2:]) == pytest.approx([0.01])
    assert verdict(records, "top1 of a > 50") == REPRODUCED
    assert verdict(records, "ami of a/linear > ami of b/linear", average=["dose"]) == REPRODUCED
    assert verdict(records, "top1 of finetuned > 50", each=["dose"]) == REPRODUCED
    best = evaluate(claim("ami of a > ami of b", where={"concentration": [0.001]}), records).iloc[0]
    assert best["margin"] == pytest.approx(np.subtract(HIGH, LOW).mean() + 0.03)


def test_a_post_processing_is_a_name_like_the_others():
    records = runs({"a": [90.0], "b": [92.0]}, "nsc")
    both = pd.concat([records.assign(postprocessing="none"), records.assign(postprocessing="tvn", value=95.0)])
    assert evaluate(claim("nsc of a/tvn > nsc of a/none"), both).iloc[0]["margin"] == 5
    lines = evaluate(claim("nsc of a < nsc of b", each=["postprocessing"], every_cell="only"), both)
    assert list(lines["cell"]) == ["none", "tvn"]
    only = evaluate(claim("nsc of a < nsc of b", where={"postprocessing": ["none"]}), both)
    assert list(only["margin"]) == [2]


# ------------------------------------------------------------------------------------------------------ what is missing
def test_a_collapsed_training_is_a_missing_seed_and_is_named():
    collapsed = [*HIGH[:2], "collapsed in epoch 7, spread 1e-4", *HIGH[3:]]
    records = pd.concat([table2(TRAINED), table2({("dual", "vicreg", "vgg13"): collapsed})])
    records = pd.concat([records, table2({("first", "vicreg", "vgg13"): LOW})])
    lines = evaluate(claim("ami of dual > ami of first", each=ALL, every_cell="also"), records)
    mean = lines.iloc[0]
    assert (mean["verdict"], mean["n"]) == (REPRODUCED, 4)
    assert mean["reason"] == "seed 7 missing in d, vicreg, vgg13: collapsed in epoch 7, spread 1e-4"
    strict = lines[lines["claim"] == "c.every"]
    assert list(strict["n"]) == [5, 5, 5, 5, 4]
    assert list(strict["reason"])[:4] == [""] * 4
    assert strict["reason"].iloc[4] == "seed 7 missing: collapsed in epoch 7, spread 1e-4"
    assert "| 4 (seed 7 missing in d, vicreg, vgg13: collapsed in epoch 7, spread 1e-4) |" in markdown(lines, PANEL)
    both = runs({"a": [0.5, "collapsed in epoch 7", 0.6, "collapsed in epoch 9", "collapsed in epoch 7"]})
    line = evaluate(claim("ami of a > 0"), both).iloc[0]
    assert line["reason"] == "seeds 6, 9 missing: collapsed in epoch 7; seed 8 missing: collapsed in epoch 9"


def test_a_run_without_values_is_missing_all_along_the_dimensions_that_its_values_would_have():
    scored = pd.concat(
        [runs({"a": [90.0, 91], "b": [80.0, 85]}, "nsc").assign(postprocessing=name) for name in ("none", "tvn")]
    )
    failed = record("a", 7, "nsc", NAN, "collapsed in epoch 7") | {"postprocessing": ""}
    there = [record("b", 7, "nsc", 84.0) | {"postprocessing": name} for name in ("none", "tvn")]
    records = pd.concat([scored, pd.DataFrame([failed, *there], columns=COLUMNS)])
    for more in ({"each": ["postprocessing"]}, {"where": {"postprocessing": ["tvn"]}}):
        lines = evaluate(claim("nsc of a > nsc of b", **more), records)
        assert "" not in set(lines["cell"]) or "each" not in more
        assert set(lines["n"]) == {2}
        assert set(lines["reason"]) == {"seed 7 missing: collapsed in epoch 7"}
    named = evaluate(claim("nsc of a/tvn > nsc of b/tvn"), records).iloc[0]
    assert (named["n"], named["reason"]) == (2, "seed 7 missing: collapsed in epoch 7")
    alone = evaluate(
        claim("nsc of a > 1", each=["postprocessing"], where={"dose": [1]}), pd.DataFrame([failed], columns=COLUMNS)
    ).iloc[0]
    assert (alone["verdict"], alone["reason"]) == (CANNOT, "collapsed in epoch 7")


def test_an_encoder_that_cannot_be_had_leaves_no_verdict_and_its_reason():
    missing = table2({("plain", "imagenet", "vgg16"): ["no ImageNet weights"] * 5})
    lines = evaluate(claim("ami of dual > ami of imagenet/vgg16", each=ALL), pd.concat([table2(TRAINED), missing]))
    assert set(lines["verdict"]) == {CANNOT}
    assert set(lines["reason"]) == {"no ImageNet weights"}


def test_without_values_the_reason_is_told():
    records = pd.concat([runs({"a": HIGH, "b": LOW}), runs({t: ["no weights"] * 5 for t in "ab"}, "lpips")])
    lines = evaluate(claim("lpips of a > lpips of b"), records)
    assert (lines["verdict"][0], lines["reason"][0], lines["n"][0]) == (CANNOT, "no weights", 0)
    assert "| cannot say: no weights | — | — | 0 of 1 | — | 0 |" in markdown(lines, PANEL)
    assert verdict(records, "ami of a > ami of b", "lpips of a > lpips of b") == CANNOT
    assert verdict(records, "ami of a < ami of b", "lpips of a > lpips of b") == CONTRADICTED
    absent = evaluate(claim("ami of c > ami of b"), records).iloc[0]
    assert (absent["verdict"], absent["reason"]) == (CANNOT, "no runs of ami of c")
    none = evaluate(claim("ami of c > ami of b"), records.iloc[:0]).iloc[0]
    assert (none["verdict"], none["reason"]) == (CANNOT, "no runs of ami of c; no runs of ami of b")


# -------------------------------------------------------------------------------------------------------- one training
def screened(outcomes: dict[str, str], seeds=(5,), **keys) -> pd.DataFrame:
    """Scores of NSC and the outcomes behind them: {transform: one digit per treatment}.

    Treatments are two doses of each compound; two compounds in turn share a mechanism of action.
    """
    lines = []
    for (transform, digits), seed in itertools.product(outcomes.items(), seeds):
        right = [int(digit) for digit in digits]
        lines.append(record(transform, seed, "nsc", 100 * np.mean(right)) | keys)
        for number, one in enumerate(right):
            at = {"compound": f"c{number // 2}", "concentration": 1.0 + number % 2, "moa": f"m{number // 4}"}
            lines.append(record(transform, seed, "nsc_right", float(one)) | at | keys)
    return pd.DataFrame(lines)


BEST, WORST = "1" * 24, "1100" * 6  # in six mechanisms one of both compounds is right in one alone


def test_one_training_is_judged_by_its_treatments():
    line = evaluate(claim("nsc of a > nsc of b"), screened({"a": BEST, "b": WORST})).iloc[0]
    assert (line["verdict"], line["over"], line["n"]) == (REPRODUCED, "treatments", 1)
    assert (line["compounds"], line["moas"], line["margin"]) == (6, 6, 50)
    assert line["p"] == 2**-6
    assert line["mcnemar"] == pytest.approx(2**-12)  # twelve treatments, as if they were independent
    told = markdown(evaluate(claim("nsc of a > nsc of b"), screened({"a": BEST, "b": WORST})), PANEL)
    assert "| reproduced, for these treatments, one training | +50 | 0.016 (McNemar, treats treatments as indep" in told
    assert "sign-flip tests over compounds and over mechanisms of action" in told
    assert "mechanisms" not in markdown(evaluate(claim("nsc of a > 1"), screened({"a": BEST})), PANEL)
    assert verdict(screened({"a": WORST, "b": BEST}), "nsc of a > nsc of b") == CONTRADICTED
    either = {"a": "1100" * 3 + "0000" * 3, "b": "0000" * 3 + "1100" * 3}
    assert verdict(screened(either), "nsc of a > nsc of b") == UNDECIDED


def test_few_treatments_that_differ_are_too_few():
    four = "1111" * 2 + "1100" * 4
    lines = evaluate(claim("nsc of a > nsc of b"), screened({"a": BEST, "b": four}))
    assert lines["verdict"][0] == FEW
    assert "too few runs: the outcomes of 4 compounds and 4 mechanisms differ" in markdown(lines, PANEL)
    assert verdict(screened({"a": BEST, "b": BEST}), "nsc of a > nsc of b") == FEW


def test_what_has_no_outcomes_only_seeds_can_judge():
    """A quoted score; an allowance; scores of other treatments."""
    records = screened({"a": BEST, "b": WORST})
    assert verdict(records, "nsc of a > 85") == FEW
    assert verdict(records, "nsc of a > nsc of b - 2") == FEW
    assert verdict(records, "fall of nsc from a to b > fall of nsc from b to a") == FEW
    assert verdict(records[records["metric"] == "nsc"], "nsc of a > nsc of b") == FEW
    assert verdict(runs({"a": [0.8], "b": [0.3]}), "ami of a > ami of b") == FEW
    others = pd.concat([screened({"a": BEST}), screened({"b": WORST[:20]})])
    assert verdict(others, "nsc of a > nsc of b") == FEW
    # With more than one seed, seeds are the units.
    assert verdict(screened({"a": BEST, "b": WORST}, seeds=(5, 6)), "nsc of a > nsc of b") == FEW


def test_a_margin_over_cells_is_the_sum_of_what_the_treatments_contribute():
    """NSC and NSCB have different numbers of treatments; drop is their difference; cells are averaged."""
    rng = np.random.default_rng(0)
    parts = []
    for name, (metric, count) in itertools.product(("none", "tvn"), {"nsc": 24, "nscb": 20}.items()):
        drawn = {t: "".join(map(str, rng.integers(0, 2, count))) for t in "ab"}
        parts.append(screened(drawn, postprocessing=name).replace({"nsc": metric, "nsc_right": f"{metric}_right"}))
    records = pd.concat(parts)
    values = Values.of(records)
    for text in ("nsc,nscb of a > nsc,nscb of b", "gain of nsc from b to a > gain of nscb from b to a"):
        (one,) = read(claim(text, each=["postprocessing"]))
        ((comparison, cells),) = compare(one, values)
        shares = contributions(comparison, cells, values, seed=0)
        line = evaluate(claim(text, each=["postprocessing"]), records).iloc[0]
        assert shares.sum() == pytest.approx(line["margin"])
        assert len(shares) == 24
    dropped = records[records["metric"].isin(["nsc", "nscb"])]
    scores = dropped.set_index(["metric", "transform", "postprocessing"])["value"]
    drops = [
        record(t, 5, "drop", scores["nsc", t, name] - scores["nscb", t, name]) | {"postprocessing": name}
        for t, name in itertools.product("ab", ("none", "tvn"))
    ]
    told = evaluate(claim("drop of a > drop of b", each=["postprocessing"]), pd.concat([records, pd.DataFrame(drops)]))
    gained = evaluate(claim("gain of nsc from b to a > gain of nscb from b to a", each=["postprocessing"]), records)
    assert told["margin"].tolist() == pytest.approx(gained["margin"].tolist())
    assert told["p"].tolist() == pytest.approx(gained["p"].tolist(), nan_ok=True)
    assert told["compounds"][0] > 0


def test_where_and_cells_choose_the_outcomes_too():
    """Under TVN `a` is better; without post-processing it is worse."""
    records = pd.concat(
        [
            screened({"a": BEST, "b": WORST}, postprocessing="tvn"),
            screened({"a": WORST, "b": BEST}, postprocessing="none"),
        ]
    )
    assert verdict(records, "nsc of a > nsc of b", where={"postprocessing": ["tvn"]}) == REPRODUCED
    assert verdict(records, "nsc of a/tvn > nsc of b/tvn") == REPRODUCED
    assert verdict(records, "nsc of a > nsc of b", where={"postprocessing": ["none"]}) == CONTRADICTED
    assert verdict(records, "nsc of a > nsc of b", each=["postprocessing"]) == FEW  # they cancel out
    strict = evaluate(claim("nsc of a > nsc of b", each=["postprocessing"], every_cell="only"), records)
    assert list(strict["result"]) == [REPRODUCED, CONTRADICTED]
    with pytest.raises(UserError, match="several"):
        evaluate(claim("nsc of a > nsc of b"), records)


# ------------------------------------------------------------------------------------------------------ what is written
def test_the_files_say_at_which_scale(tmp_path):
    table = evaluate(claim("ami of a > ami of b", "ami of a > 0.9"), runs({"a": HIGH[:2], "b": LOW[:2]}))
    text = markdown(table, PANEL)
    assert "at demo scale" in text
    assert "p covers the noise of training" in text
    assert (
        "| c | too few runs | -0.09 [-0.153, -0.0269] | — | 1 of 2 | -0.09 [-0.153, -0.0269] | 2 | So it is. |" in text
    )
    write(table, PANEL, tmp_path / "claims.csv")
    back = pd.read_csv(tmp_path / "claims.csv")
    assert len(back) == 2
    assert set(back["note"]) == {"Demo scale."}
    assert {"on_side", "cells", "smallest", "smallest_low", "smallest_high"} <= set(back)
    assert markdown(evaluate([], runs({"a": HIGH})), PANEL) == ""


@pytest.mark.parametrize("paper", ["no_free_lunch", "single_cell"])
def test_every_claim_can_be_read_and_has_its_own_name(root, paper):
    claims = yaml.safe_load((root / f"resources/claims/{paper}.yaml").read_text())
    found = [
        line
        for panel, of in claims.items()
        for line in evaluate(of, pd.DataFrame(columns=COLUMNS).astype({"value": float}))["claim"].unique()
        if panel.startswith(f"{paper}_")
    ]
    assert len(found) == len(set(found)) > 20


def one_run(root, number: int) -> pd.DataFrame:
    """The claims on a table of paper B, on the paper's own numbers as one run."""
    table = printed(f"single_cell_table{number}")
    records = table[table["quoted"] == ""].assign(seed=5, reason=None, source="")
    return evaluate(resources.claims(Panel("single_cell", f"table{number}", {})), records[COLUMNS])


@pytest.mark.parametrize("number", range(1, 8))
def test_without_outcomes_one_run_is_too_few_for_paper_b(root, number):
    found = one_run(root, number)
    assert set(found["verdict"]) <= {FEW, CANNOT}
    cannot = found.loc[found["verdict"] == CANNOT, "claim"]
    assert set(cannot) <= {"B.T2.c6"}  # the run at 0.1 is not in the paper


def test_where_the_published_scores_contradict_the_papers_claims(root):
    """By name, comparison by comparison; all others are on the side of their claim."""
    against = set()
    for number in range(1, 8):
        found = one_run(root, number)
        below = found[(found["margin"] < 1e-9) & (found["result"] != "")]  # a tie is not on its side
        short = below["comparison"].str.replace("single_cell+", "").str.replace("_imagenet", "")
        against |= set(zip(below["claim"], below["cell"], short, strict=True))
    batch, head = "simclr+batch_size=128", "simclr+batch_size=128+head=linear"
    jitter = {("none", "nsc", "random_rotate_90")}
    jitter |= {
        (postprocessing, "nscb", other)
        for postprocessing in ("whitening", "tvn")
        for other in ("random_horizontal_flip", "random_rotate_90", "gaussian_blur")
    }
    assert against == {
        ("B.T1.c1.stronger", "", f"nscb of resnet18/{batch} > nscb of resnet50/{batch}"),
        ("B.T3.c2.stronger", "whitening", "nscb of random_grayscale=off > nscb of single_cell"),
        *{("B.T3.c3.stronger", p, f"{m} of color_jitter=off < {m} of {other}=off") for p, m, other in jitter},
        ("B.T4.c1.stronger", "whitening", "drop of resnet50 < drop of resnet18"),
        ("B.T6.c2.stronger", "none", f"nscb of {batch} < nscb of {head} + 2.5"),
    }
