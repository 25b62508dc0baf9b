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


def table2(values: dict, datasets=("d",), frozen="imagenet") -> pd.DataFrame:
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


def test_each_leaves_out_what_the_comparison_is_not_about():
    """Pretrained encoders have neither of the two sets: no comparison is made of them."""
    records = table2({**TRAINED, ("plain", "imagenet", "vgg16"): [0.5]}, datasets=("d", "e"))
    lines = evaluate(claim("ami of dual > ami of first", each=ALL), records)
    assert len(lines) == 8
    assert set(lines["verdict"]) == {REPRODUCED}
    # One that should be there and is not, is told.
    gap = records[~(records[["transform", "method", "backbone"]] == ["first", "moco", "vgg13"]).all(axis=1)]
    lines = evaluate(claim("ami of dual > ami of first", each=ALL), gap)
    assert (len(lines), set(lines["verdict"])) == (8, {CANNOT})
    assert set(lines.loc[lines["n"] == 0, "reason"]) == {"no runs of ami of first"}
    assert "6 of 8, 2 without values" in markdown(lines, PANEL)
    nothing = evaluate(claim("ami of x > ami of y", each=ALL), records).iloc[0]
    assert (nothing["verdict"], nothing["reason"]) == (CANNOT, "no runs of ami of x; no runs of ami of y")
    with pytest.raises(UserError, match="every term names one of `method`"):
        evaluate(claim("ami of moco > ami of byol", each=["method"]), records)


def test_a_fixed_value_is_compared_with_every_seed_and_only_if_it_is_called_fixed():
    records = table2({**TRAINED, ("plain", "imagenet", "vgg16"): [0.5]})
    lines = evaluate(claim("ami of dual > fixed ami of imagenet/vgg16", each=ALL), records)
    assert len(lines) == 4
    assert set(lines["n"]) == {5}
    assert set(lines["verdict"]) == {REPRODUCED}
    assert lines["margin"].iloc[0] == pytest.approx(np.mean(HIGH) - 0.5)
    assert lines["sd"].iloc[0] == pytest.approx(np.std(HIGH, ddof=1))
    assert lines["p"].iloc[0] == pytest.approx(1 / 32)
    assert verdict(records, "ami of dual < fixed ami of imagenet/vgg16", each=ALL) == NOT
    paired = evaluate(claim("ami of dual > ami of imagenet/vgg16", each=ALL), records).iloc[0]
    assert (paired["n"], paired["verdict"]) == (1, FEW)
    # An untrained encoder has a value of its own for every seed: they are paired.
    several = table2({**TRAINED, ("plain", "imagenet", "vgg16"): HIGH})
    line = evaluate(claim("ami of dual > fixed ami of imagenet/vgg16", each=ALL), several).iloc[0]
    assert (line["margin"], line["sd"]) == (0, 0)
    # Without its backbone the pretrained run is looked for under each backbone of the trained ones.
    vague = evaluate(claim("ami of dual > fixed ami of imagenet", each=ALL), records).iloc[0]
    assert (vague["verdict"], vague["reason"]) == (CANNOT, "no runs of ami of imagenet")


def test_an_encoder_that_cannot_be_had_leaves_no_verdict_and_its_reason():
    missing = record("plain", 5, "ami", float("nan"), "no ImageNet weights", method="imagenet", backbone="vgg16")
    records = pd.concat([table2(TRAINED, ["digits"]), pd.DataFrame([missing], columns=COLUMNS)])
    lines = evaluate(claim("ami of dual > fixed ami of imagenet/vgg16", each=ALL), records)
    assert set(lines["verdict"]) == {CANNOT}
    assert set(lines["reason"]) == {"no ami: no ImageNet weights"}


def test_claims_follow_the_stand_ins():
    records = table2({**TRAINED, ("plain", "untrained", "vgg16"): [0.5] * 5}, datasets=("simulated_taxol",))
    stand_ins = {"cells_taxol": "simulated_taxol", "imagenet": "untrained"}
    one = claim("ami of dual/cells_taxol > fixed ami of imagenet/vgg16", each=["method", "backbone"])
    assert set(evaluate(one, records, stand_ins)["verdict"]) == {REPRODUCED}
    assert set(evaluate(one, records)["verdict"]) == {CANNOT}
    where = claim("ami of dual > ami of first", each=ALL, where={"dataset": ["cells_taxol"]})
    assert len(evaluate(where, records, stand_ins)) == 4


def test_an_average_is_taken_within_each_seed():
    values = {"a": [[0.5, 0.1], [0.6, 0.3], [0.7, 0.3], [0.5, 0.2], [0.6, 0.2]], "b": [[0.4, 0.15]] * 5}
    records = pd.concat(
        [runs({t: [pair[i] for pair in column] for t, column in values.items()}, dataset="de"[i]) for i in (0, 1)]
    )
    line = evaluate(claim("ami of a > ami of b", average=["dataset"]), records).iloc[0]
    margins = np.mean(values["a"], axis=1) - np.mean(values["b"], axis=1)
    assert line["margin"] == pytest.approx(margins.mean())
    assert line["sd"] == pytest.approx(margins.std(ddof=1))
    assert line["comparison"] == "ami of a > ami of b (average over 2 of dataset)"
    # One of the two goes against it in one seed.
    assert line["verdict"] == REPRODUCED
    assert verdict(records, "ami of a > ami of b", each=["dataset"]) == NOT
    # A seed that one of the two has not is left out; nothing is averaged over what is left.
    gap = records[~((records["dataset"] == "e") & (records["seed"] == 9))]
    assert evaluate(claim("ami of a > ami of b", average=["dataset"]), gap).iloc[0]["n"] == 4


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
    for panel, count in (("no_free_lunch_table1", 5), ("no_free_lunch_table2", 5), ("no_free_lunch_table7", 1)):
        printed = published(root / "resources/published/no_free_lunch.csv", panel)
        records = pd.concat([printed.assign(seed=seed, reason=None, source="") for seed in range(5, 10)])
        claims = load(root / "resources/claims/no_free_lunch.yaml", panel)
        table = evaluate(claims, records)
        assert table["claim"].nunique() == count
        assert set(table["verdict"]) == {REPRODUCED}
        assert set(evaluate(claims, records[records["seed"] < 7])["verdict"]) == {FEW}


@pytest.mark.parametrize("paper", ["no_free_lunch", "single_cell"])
def test_every_claim_is_complete(root, paper):
    for panel, claims in yaml.safe_load((root / f"resources/claims/{paper}.yaml").read_text()).items():
        assert panel.startswith(f"{paper}_")
        for one in claims:
            assert set(one) - {"where", "each", "average"} == {"id", "says", "holds"}


def test_the_files_say_at_which_scale(tmp_path):
    table = evaluate(claim("ami of a > ami of b", "ami of a > 0.9"), runs({"a": HIGH[:2], "b": LOW[:2]}))
    text = markdown(table, PANEL)
    assert "at demo scale" in text
    assert "| c | too few runs to say | 1 of 2 | -0.09 | 2 | So it is. |" in text
    write(table, PANEL, tmp_path / "claims.csv")
    back = pd.read_csv(tmp_path / "claims.csv")
    assert len(back) == 2
    assert set(back["note"]) == {"Demo scale."}
    assert markdown(evaluate([], runs({"a": HIGH})), PANEL) == ""


# -------------------------------------------------------------------------------------------------------------- paper B
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
    with pytest.raises(UserError, match="claim c"):
        evaluate(claim("nsc of a -3 > nsc of b"), records)


def test_a_post_processing_is_a_name_like_the_others():
    records = runs({"a": [90.0], "b": [92.0]}, "nsc")
    both = pd.concat([records.assign(postprocessing="none"), records.assign(postprocessing="tvn", value=95.0)])
    assert evaluate(claim("nsc of a/tvn > nsc of a/none"), both).iloc[0]["margin"] == 5
    lines = evaluate(claim("nsc of a < nsc of b", each=["postprocessing"]), both)
    assert list(lines["comparison"]) == ["none: nsc of a < nsc of b", "tvn: nsc of a < nsc of b"]
    only = evaluate(claim("nsc of a < nsc of b", where={"postprocessing": ["none"]}), both)
    assert list(only["margin"]) == [2]


def test_overrides_stay_with_what_stands_in():
    records = runs({"s+x=off": HIGH, "s": LOW})
    assert set(evaluate(claim("ami of t+x=off > ami of t"), records, {"t": "s"})["verdict"]) == {REPRODUCED}


def contradicted(root, number: int) -> tuple[set, pd.DataFrame]:
    """Where the paper's own numbers, as one run, are not on the side of its claims, and all comparisons."""
    printed = published(root / "resources/published/single_cell.csv", f"single_cell_table{number}")
    records = printed[printed["quoted"] == ""].assign(seed=5, reason=None, source="")
    found = evaluate(load(root / "resources/claims/single_cell.yaml", f"single_cell_table{number}"), records)
    assert set(found["verdict"]) == {FEW}
    assert set(found["reason"]) == {""}
    against = found[found["margin"] < 1e-9]  # a tie is not on its side
    short = against["comparison"].str.replace("single_cell+", "").str.replace("_imagenet", "")
    return set(zip(against["claim"], short, strict=True)), found


def test_where_the_published_scores_bear_the_papers_claims_out(root):
    for number, count in ((1, 4), (2, 12), (5, 2), (7, 22)):
        against, found = contradicted(root, number)
        assert (against, len(found)) == (set(), count)
    batch = contradicted(root, 5)[1]["margin"]
    assert list(batch) == pytest.approx([93.57 - 91.12, 93.57 - 91.05], abs=0.01)


def test_where_the_published_scores_contradict_the_papers_claims(root):
    assert contradicted(root, 4)[0] == {("B.T4.c1", "whitening: drop of resnet50 < drop of resnet18")}
    head = "simclr+batch_size=128"
    assert contradicted(root, 6)[0] == {("B.T6.c2", f"none: nscb of {head} < nscb of {head}+head=linear + 2.5")}
    whole = ("B.T3.c2", "whitening: nscb of random_grayscale=off > nscb of single_cell")
    jitter = {("none", "nsc", "random_rotate_90")}
    jitter |= {
        (postprocessing, "nscb", other)
        for postprocessing in ("whitening", "tvn")
        for other in ("random_horizontal_flip", "random_rotate_90", "gaussian_blur")
    }
    expected = {("B.T3.c3", f"{p}: {m} of color_jitter=off < {m} of {other}=off") for p, m, other in jitter}
    assert contradicted(root, 3)[0] == expected | {whole}
