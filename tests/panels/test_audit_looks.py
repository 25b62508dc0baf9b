"""Looks before the end of an audit: what is decided stops, and no more is found of nothing than without looks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from phenoviews.curves.spending import SPENDING
from phenoviews.panels import audit
from phenoviews.panels.audit import BETTER, SAME, WORSE, Judged, Scores

COUNT, DRAWS, MOST = 9, 200, 18
SETTINGS = ("mine", *(f"mine+part{number}=off" for number in range(1, COUNT)))
CLASSES = ("cat", "dog")


def truth(rng: np.random.Generator, seeds: int, sd=1.0, effects=()) -> np.ndarray:
    """What all trainings would give, (seeds, settings, outcomes)."""
    y = 70 + rng.normal(size=(seeds, COUNT, 3)) * sd + rng.normal(0, 3, (seeds, 1, 1))
    for setting, change in dict(effects).items():
        y[:, setting] += change
    return y


def design(looks, how="obrien_fleming") -> dict:
    declared = {"looks": list(looks), "spending": how, "keep": []}
    return {"declared": declared, "seeds": tuple(range(10, 10 + looks[-1])), "apart": [], "alone": {}}


def audited(y: np.ndarray, of: dict, margin: float = 2.0) -> tuple[Judged, np.ndarray]:
    """Round by round, as the workflow trains: what is found in the end, and which trainings were made."""
    made = np.zeros(y.shape[:2], dtype=bool)
    left, first = list(SETTINGS), 0
    for look in of["declared"]["looks"]:
        made[first:look, [SETTINGS.index(name) for name in left]] = True
        seen = np.where(made[:look, :, None], y[:look], np.nan)
        seen, seeds = seen[made[:look].any(axis=1)], np.array(of["seeds"])[:look][made[:look].any(axis=1)]
        found = audit.of_the_set(Scores(seen, SETTINGS, tuple(seeds), CLASSES, "points", "accuracy"), of, margin)
        left, first = audit.going_on(found, None, of), look
        if not left:
            break
    return found, made


def shows(found: Judged) -> bool:
    return BETTER in found.verdicts or WORSE in found.verdicts or bool(found.ways.any())


SPREADS = {
    "same": 1.0,
    # Most are soon seen to make no difference, so that those that are left are what looks best by chance.
    "little of half": np.repeat([1.0, 0.15], [COUNT - 4, 4])[::-1, None],
}


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("how", SPENDING)
def test_of_nothing_no_more_is_shown_and_recommended_than_without_looks(how, spread):
    rng = np.random.default_rng(0)
    shown = recommended = stopped = 0
    for _ in range(DRAWS):
        found, _ = audited(truth(rng, 6, SPREADS[spread]), design([2, 3, 4, 6], how))
        shown += shows(found)
        recommended += any(map(found.helps, range(1, COUNT)))
        stopped += found.stopped.sum()
    assert shown <= MOST
    assert recommended <= MOST
    assert spread == "same" or stopped > DRAWS


def test_looks_at_which_all_error_is_spent_each_time_find_too_much():
    """So that the test above can fail."""
    rng = np.random.default_rng(0)
    shown = 0
    for _ in range(DRAWS):
        y = truth(rng, 10)
        every = (Judged(Scores(y[:look], SETTINGS, tuple(range(look)), CLASSES, "", ""), 2.0) for look in range(2, 11))
        shown += any(map(shows, every))
    assert shown > MOST


def test_what_is_worse_or_alike_stops_and_what_helps_or_is_open_goes_on():
    rng = np.random.default_rng(1)
    sd = np.full((COUNT, 1), 0.3)
    sd[3] = 8.0
    effects = {1: (-30, -30, -30), 2: (12, 12, 12), 3: (0, 0, 0), 4: (0, 0, 25)}
    y = truth(rng, 6, sd, effects)
    found, made = audited(y, design([2, 4, 6], "pocock"))
    assert (made.sum(axis=0)[[0, 2, 3, 4]] == 6).all()
    assert made.sum(axis=0)[1] < 6
    verdicts = np.array(found.verdicts)
    assert verdicts[1] == WORSE
    assert verdicts[2] == BETTER
    assert set(verdicts[5:]) == {SAME}
    assert found.helps(4)
    assert made[:, 5:].sum() <= made[:, 5:].size - 4


def test_what_was_decided_stays_whatever_comes_after():
    """Of the settings that go on, more seeds; of one that stopped the change, interval and verdict of its look."""
    rng = np.random.default_rng(2)
    y, of = truth(rng, 6, 1.0, {1: (-30, -30, -30)}), design([2, 4, 6])
    found, made = audited(y, of)
    assert not made[2:, 1].any()
    then = audit.of_the_set(Scores(y[:2], SETTINGS, of["seeds"][:2], CLASSES, "points", "accuracy"), of, 2.0)
    assert found.verdicts[1] == then.verdicts[1] == WORSE
    for name in ("changes", "reaches", "ways", "p"):
        np.testing.assert_array_equal(getattr(found, name)[1], getattr(then, name)[1])
    assert found.seeds.tolist() == [6, 2, *[6] * (COUNT - 2)]
    assert found.reaches[2, 0] < then.reaches[2, 0]


def test_those_that_stopped_count_among_all_that_are_tested():
    """The intervals of two that are left of nine are as wide as those of nine."""
    rng = np.random.default_rng(3)
    y = truth(rng, 6, 1.0, dict.fromkeys(range(1, COUNT - 2), (-40, -40, -40)))
    found, made = audited(y, design([2, 4, 6], "pocock"))
    assert made[-1].sum() == 3
    family = found.found.reach(found.level / 2, COUNT - 1)[0, -1, 0]
    assert found.reaches[-1, 0] == pytest.approx(family)


def test_where_all_is_decided_nothing_more_is_trained():
    rng = np.random.default_rng(4)
    effects = dict.fromkeys(range(1, COUNT), (-40, -40, -40))
    of = design([2, 4, 6], "pocock")
    found, made = audited(truth(rng, 6, 1.0, effects), of)
    assert made.sum() == 2 * COUNT
    assert [one["decided"] for one in audit.looks_of(found, of)] == [COUNT - 1, 0, 0]


def test_an_operation_alone_goes_on_with_what_it_is_compared_with():
    """The set's own settings are decided, and one of two operations alone is not."""
    rng = np.random.default_rng(5)
    names = ("mine", "mine+a=off", "mine+b=off", "mine+a=off+b=off")
    y = 70 + rng.normal(0, 0.3, (2, 4, 1)) + np.array([0, -40, -40, -80])[None, :, None]
    y[:, 1, 0] += [-15, 15]
    scores = Scores(y, names, (10, 11), (), "points", "accuracy")
    of = {
        **design([2, 4], "pocock"),
        "alone": {"": "mine+a=off+b=off", "a": "mine+b=off", "b": "mine+a=off"},
        "apart": ["mine+a=off+b=off"],
    }
    found, by_itself = audit.of_the_set(scores, of, 2.0), audit.alone(scores, of, 2.0)
    left = audit.going_on(found, by_itself, of)
    done = dict(zip(by_itself.scores.settings, by_itself.decided, strict=True))
    assert ("mine+b=off" in left) == (not done["a"] or not found.decided[2])
    assert "mine+a=off+b=off" in left  # both gain against none, and so go on
    assert ("mine" in left) == (not found.decided[1:].all())


def test_an_operation_alone_goes_on_until_its_classes_are_told():
    """It is plainly worse after two seeds, and which class that is needs more; what does nothing has stopped."""
    rng = np.random.default_rng(8)
    names = ("mine", "mine+a=off", "mine+b=off", "mine+a=off+b=off")
    y = 70 + rng.normal(0, 0.02, (2, 4, 3))
    y[:, [0, 2]] -= np.array([20.0, 0.0, 0.0])  # where a is
    y[:, [0, 2], 1] += np.array([[-60.0], [20.0]])
    scores = Scores(y, names, (10, 11), ("cat", "dog"), "points", "accuracy")
    of = {
        **design([2, 4], "pocock"),
        "alone": {"": "mine+a=off+b=off", "a": "mine+b=off", "b": "mine+a=off"},
        "apart": ["mine+a=off+b=off"],
    }
    by_itself = audit.alone(scores, of, 2.0)
    assert by_itself.scores.settings == ("none", "a", "b")
    assert list(by_itself.verdicts[1:]) == [audit.WORSE, audit.SAME]
    assert not by_itself.ways[1].any()
    assert list(by_itself.decided) == [False, False, True]
    assert "mine+b=off" in audit.going_on(audit.of_the_set(scores, of, 2.0), by_itself, of)


def test_seeds_are_those_of_the_design_in_its_order():
    """Scores have seeds in order, and a study may have them in any."""
    rng = np.random.default_rng(6)
    y = truth(rng, 4, 1.0, {1: (-30, -30, -30)})
    of = {**design([2, 4]), "seeds": (7, 3, 5, 1)}
    order = np.argsort(of["seeds"])
    scores = Scores(y[order], SETTINGS, tuple(sorted(of["seeds"])), CLASSES, "points", "accuracy")
    found = audit.of_the_set(scores, of, 2.0)
    assert found.before is not None
    assert sorted(found.before.scores.seeds) == [3, 7]
    expected = dataclasses.replace(scores, y=y[[1, 0]], seeds=(3, 7))
    np.testing.assert_array_equal(found.before.scores.y, expected.y)
