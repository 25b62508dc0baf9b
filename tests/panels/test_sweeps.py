"""What is measured of sweeps, from trainings whose truth is known to tables and verdicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from tests.curves.made_up import noise, ramp

from phenoviews.curves.equivalence import cross_fitted, equivalence
from phenoviews.curves.opposition import flagged
from phenoviews.curves.tables import mean_curves
from phenoviews.panels import claims, records
from phenoviews.panels.sweeps import SWEEPS
from phenoviews.panels.verdicts import CANNOT, CONTRADICTED, NOISE, REPRODUCED, UNDECIDED
from phenoviews.study.metrics import METRICS, SOURCES, measured

SETTINGS = {
    **{
        "class_metric": "accuracy",
        "superclass_metric": "superclass_accuracy",
        "unit": "mean",
        "margin": 2.0,
        "level": 0.05,
    },
    **{"at_least": [2, 1], "draws": 39, "permutations": 199, "seed": 0},
}
CLASSES, VALUES, SEEDS = 30, 10, 5
NAMES = [f"class{number:02}" for number in range(CLASSES)]
WAY = np.repeat([0, 1, -1], [20, 5, 5])  # of the classes: which rise, which fall


def trainings(rng: np.random.Generator, points: float = 4.0, seeds: int = SEEDS, values: int = VALUES) -> np.ndarray:
    """(seeds, values, classes): noise, in which ten classes move."""
    return 60 + noise(rng, seeds, values, rho=-0.5, classes=CLASSES, pairs=8) + points * ramp(values) * WAY


def of_runs(y: np.ndarray, method: str = "a", leaf: str = "hue", dataset: str = "d", prefix: str = "") -> pd.DataFrame:
    """The records of one sweep's probes: accuracy by class, top1, two superclasses."""
    rows = []
    for seed, by_value in enumerate(y, start=5):
        for at, by_class in zip(np.linspace(0, 0.5, y.shape[1]), by_value, strict=True):
            run = {
                "dataset": dataset,
                "transform": f"cifar+{leaf}={at}",
                "method": method,
                "backbone": "r",
                "seed": seed,
            }
            run |= {"swept": leaf, "at": at, "reason": "", "source": "probe.parquet", "class": "", "superclass": ""}
            rows.append({**run, "metric": f"{prefix}top1", "value": by_class.mean()})
            rows += [
                {**run, "metric": f"{prefix}accuracy", "value": value, "class": name}
                for name, value in zip(NAMES, by_class, strict=True)
            ]
            rows += [
                {
                    **run,
                    "metric": "superclass_accuracy",
                    "value": by_class[way == WAY].mean(),
                    "superclass": f"way{way}",
                }
                for way in (-1, 1)
            ]
    return pd.DataFrame(rows)


def of_properties(numbers: np.ndarray) -> pd.DataFrame:
    """The records of a supervised encoder's run: each property of a class is its number, the spectrum has two."""
    run = {"dataset": "d", "transform": "plain", "method": "imagenet", "backbone": "big", "seed": 5, "swept": ""}
    run |= {"at": np.nan, "reason": "", "source": "properties.parquet", "superclass": "s", "component": np.nan}
    rows = []
    for name, number in zip(NAMES, numbers, strict=True):
        for metric in ("intrinsic_dimension", "texture", "high_frequencies"):
            rows.append({**run, "metric": metric, "value": number, "class": name})
        for component in (1.0, 2.0):
            rows.append(
                {**run, "metric": "eigenvalue", "value": number**component, "class": name, "component": component}
            )
    return pd.DataFrame(rows)


def measure(name: str, found: pd.DataFrame, **settings) -> pd.DataFrame:
    return pd.DataFrame(list(SWEEPS[name](found, SETTINGS | settings)))


def value(found: pd.DataFrame, metric: str, **keys) -> float:
    """The number itself, not its draws."""
    of = found[(found["metric"] == metric) & (found["seed"] == 0)]
    for key, wanted in keys.items():
        of = of[of[key] == wanted]
    (only,) = of["value"]
    return only


@pytest.fixture
def moving() -> pd.DataFrame:
    return of_runs(trainings(np.random.default_rng(0)))


def how(found: pd.DataFrame) -> dict:
    """What a panel is told of these metrics."""
    names = dict.fromkeys(found["metric"])
    return {name: {key: getattr(METRICS[name], key) for key in ("by_seed", "drawn", "test")} for name in names}


# ------------------------------------------------------------------------------------------------------------ measures
def test_every_measure_of_sweeps_is_declared():
    """Whatever joins the registry has its sources and its metrics, and these are of sweeps."""
    assert set(SWEEPS) == set(SOURCES) == {metric.measure for metric in METRICS.values() if metric.of_sweep}


@pytest.mark.parametrize("name", SWEEPS)
def test_every_measure_gives_its_metrics_and_nothing_else(name):
    y = trainings(np.random.default_rng(1))
    found = pd.concat(
        [
            of_runs(y),
            of_runs(y[::-1], prefix="fine_tuned_"),
            of_runs(y + 1, "b"),
            of_properties(WAY + 0.5 * np.arange(CLASSES)),
        ]
    )
    rows = measure(name, found)
    assert set(rows["metric"]) == set(measured(name))
    drawn = {metric for metric in measured(name) if METRICS[metric].drawn}
    assert set(rows.loc[rows["seed"] > SEEDS + 5, "metric"]) == drawn  # beyond the numbers of the seeds themselves
    again = measure(name, found)
    pd.testing.assert_frame_equal(rows, again)


def test_the_published_count_and_the_honest_one(moving):
    y = trainings(np.random.default_rng(0))
    found = measure("opposition", moving)
    assert value(found, "opposed") == pytest.approx(100 * flagged(mean_curves(y)).mean())
    assert (value(found, "rising"), value(found, "falling")) == (pytest.approx(100 * 5 / CLASSES, abs=4),) * 2
    moved = value(found, "rising") + value(found, "falling")
    assert value(found, "opposed_honest") == pytest.approx(moved)
    assert value(found, "opposed_in_part") >= 20
    draws = found[(found["metric"] == "opposed") & (found["seed"] > 0)]["value"]
    row = found[(found["metric"] == "opposed") & (found["seed"] == 0)].iloc[0]
    assert len(draws) == 39
    assert (row["low"], row["high"]) == pytest.approx(tuple(draws.quantile([0.05, 0.95])))
    assert row["value"] - value(found, "opposed_without_class") == pytest.approx(value(found, "opposed_excess"))


def test_another_sweep_changes_no_draw(moving):
    alone = measure("opposition", moving)
    both = measure("opposition", pd.concat([of_runs(trainings(np.random.default_rng(5)), "b"), moving]))
    pd.testing.assert_frame_equal(alone, both[both["method"] == "a"].reset_index(drop=True))


def test_shared_counts_are_over_methods(moving):
    other = of_runs(trainings(np.random.default_rng(2)), "b")
    found, single = (measure(name, pd.concat([moving, other])) for name in ("shared", "opposition"))
    by_method = [flagged(mean_curves(trainings(np.random.default_rng(seed)))) for seed in (0, 2)]
    assert value(found, "shared", at_least=2.0) == pytest.approx(100 * np.logical_and(*by_method).mean())
    assert value(found, "shared", at_least=1.0) == pytest.approx(100 * np.logical_or(*by_method).mean())
    assert set(found["method"]) == {""}
    assert value(single, "opposed", method="b") == pytest.approx(100 * by_method[1].mean())


def test_regimes_that_are_the_same_agree(moving):
    y = trainings(np.random.default_rng(0))
    found = measure("agreement", pd.concat([moving, of_runs(y, prefix="fine_tuned_")]))
    assert value(found, "behaviour_match") == value(found, "behaviour_match_honest") == 100
    assert value(found, "behaviour_kappa") == pytest.approx(1)
    other = measure("agreement", pd.concat([moving, of_runs(y[:, ::-1], prefix="fine_tuned_")]))  # all turned round
    assert value(other, "behaviour_match") < 80


def test_a_property_that_goes_with_behaviour_is_found(moving):
    rng = np.random.default_rng(3)
    found = measure("association", pd.concat([moving, of_properties(WAY + 0.1 * rng.normal(size=CLASSES))]))
    assert value(found, "association_permuted", property="texture") == 1 / 200
    assert value(found, "association_holm", property="texture") == 4 / 200  # four properties of one sweep
    unrelated = measure("association", pd.concat([moving, of_properties(rng.normal(size=CLASSES))]))
    assert value(unrelated, "association_holm", property="texture") > 0.05
    without = measure("association", moving)
    assert set(without["reason"]) == {
        f"no {name} of the classes: it was not measured" for name in set(without["property"])
    }


def test_the_spread_of_the_overall_accuracy_is_that_of_the_table(moving):
    y = trainings(np.random.default_rng(0)).mean(axis=2)
    found = measure("spread", moving)
    by_seed = found[found["metric"] == "top1_mean"].set_index("seed")["value"]
    assert by_seed.to_dict() == pytest.approx(dict(zip(range(5, 10), y.mean(axis=1), strict=True)))
    assert value(found, "top1_std") == pytest.approx(y.mean(axis=0).std(ddof=1))
    assert value(found, "top1_std_runs") == pytest.approx(y.std(ddof=1))
    assert value(found, "top1_within") == pytest.approx(equivalence(y).passes)


def test_ranges_are_cross_fitted_and_changes_are_slopes(moving):
    y = trainings(np.random.default_rng(0))
    found = measure("ranges", moving)
    ranges = found[found["metric"] == "range_classes"].set_index("seed")["value"]
    assert ranges.tolist() == pytest.approx(cross_fitted(y, 10).tolist())
    changes = found[(found["metric"] == "class_gain") & (found["class"] == NAMES[-1])].sort_values("seed")["value"]
    by_hand = [0.5 * np.polyfit(np.linspace(0, 0.5, VALUES), of[:, -1], 1)[0] for of in y]
    assert changes.tolist() == pytest.approx(by_hand)


@pytest.mark.parametrize(("seeds", "values", "why"), [(1, 10, "one seed"), (5, 4, "a sweep of 4 values is too short")])
def test_what_cannot_be_counted_has_its_reason(seeds, values, why):
    found = measure("opposition", of_runs(trainings(np.random.default_rng(0), seeds=seeds, values=values)))
    assert found["value"].isna().all()
    assert found["reason"].str.contains(why).all()


def test_written_sweeps_are_read_as_they_were(moving, tmp_path):
    rows = list(SWEEPS["opposition"](moving, SETTINGS))
    records.write_sweeps(tmp_path / "sweeps.parquet", rows)
    found = records.of_sweeps(tmp_path / "sweeps.parquet")
    assert len(found) == len(rows)
    assert found["value"].tolist() == pytest.approx([row["value"] for row in rows], nan_ok=True)
    shown = records.without_draws(found, {"of_sweeps": how(found)})
    assert set(shown["seed"]) == {0}
    assert not shown.duplicated(["metric", "method", "swept"]).any()


# ------------------------------------------------------------------------------------------------------------- verdicts
def judged(found: pd.DataFrame, *holds: str, **more) -> str:
    claim = [{"id": "c", "says": "so", "holds": list(holds), **more}]
    frame = found.assign(source="", reason=found.get("reason", pd.Series("", found.index)).fillna(""))
    result = claims.evaluate(claim, frame, of_sweeps=how(found))
    assert claims.markdown(result, {"scale": {"name": "paper", "note": ""}})
    return result["verdict"].iloc[0]


def test_a_count_that_noise_reaches_is_not_distinguishable_from_it():
    still = measure("opposition", of_runs(trainings(np.random.default_rng(4), points=0)))
    assert judged(still, "opposed > 30") == REPRODUCED  # as published
    assert judged(still, "opposed > 30", beyond=["opposed_p"]) == NOISE
    assert (
        judged(still, "opposed > 101", beyond=["opposed_p"]) == CONTRADICTED
    )  # what does not hold is no matter of noise
    assert judged(still, "opposed_in_part > 0") == UNDECIDED  # nothing is shown


def test_what_a_test_shows_decides():
    moved = measure("opposition", of_runs(trainings(np.random.default_rng(0))))
    assert judged(moved, "opposed_in_part > 0") == REPRODUCED
    assert judged(moved, "opposed_in_part < 1") == CONTRADICTED
    spread = measure("spread", of_runs(trainings(np.random.default_rng(0))))
    assert judged(spread, "top1_within < 2", "top1_beyond < 2") == REPRODUCED
    assert judged(spread, "top1_within < 0.01", "top1_beyond < 2") == UNDECIDED
    y = trainings(np.random.default_rng(0)) + 10 * ramp(VALUES)
    assert judged(measure("spread", of_runs(y)), "top1_within < 2", "top1_beyond < 2") == CONTRADICTED


def test_seeds_judge_what_has_seeds(moving):
    found = measure("ranges", moving)
    assert judged(found, "range_overall < range_classes") == REPRODUCED
    assert judged(found, "class_gain of class29 < class_gain of class20") == REPRODUCED


def test_one_seed_cannot_say():
    alone = measure("opposition", of_runs(trainings(np.random.default_rng(0), seeds=1)))
    assert judged(alone, "opposed > 30", beyond=["opposed_p"]) == CANNOT


@pytest.mark.parametrize(
    ("name", "key", "places"), [("shared", "at_least", {2.0, 1.0}), ("association", "property", None)]
)
def test_what_cannot_be_counted_stands_in_its_place_of_the_table(name, key, places):
    found = measure(name, of_runs(trainings(np.random.default_rng(0), values=4)[:, :1]))
    assert found["value"].isna().all()
    assert set(found["metric"]) == set(measured(name))
    assert set(found[key]) == (places or {"intrinsic_dimension", "texture", "high_frequencies", "eigenvalue"})
    assert not found.duplicated(["metric", key]).any()


def test_properties_that_were_not_measured_are_told_of_classes_without_superclasses_too(moving):
    """Neither column is there then."""
    runs = moving[moving["metric"].isin(["top1", "accuracy"])].drop(columns="superclass")
    missing = of_properties(WAY).iloc[:1].assign(value=np.nan, reason="no encoder").drop(columns="component")
    found = measure("association", pd.concat([runs, missing.drop(columns="superclass")]))
    assert set(found.loc[found["property"] == "intrinsic_dimension", "reason"]) == {
        "no intrinsic_dimension of the classes: no encoder"
    }
