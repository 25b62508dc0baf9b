"""The probe of a device, on the smallest of trainings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from phenoviews.costs.paces import PROBED, Costs, Paces
from phenoviews.study.document import shipped
from phenoviews.study.resolved import Pretraining
from phenoviews.training.calibrate import calibrate


@pytest.fixture
def costs() -> Costs:
    document = shipped()
    return Costs({**document, "backbones": {"small": {"kind": "vgg11", "gmacs": 0.15}}})


def test_a_probed_kind_has_its_own_pace_and_the_training_is_left_as_it_was(make_run: Callable, costs: Costs):
    run = Pretraining.of(make_run())
    before = run.to_dict()
    found = calibrate(costs, [run], started=4.0, seconds=0.5, threads=1)
    assert run.to_dict() == before
    assert found["too_large"] == []
    assert found["device"].startswith(("cpu", "NVIDIA"))
    (kind,) = found["kinds"]
    assert kind["seconds"] > 0
    paces = Paces(costs, [], found)
    assert (paces.of(run).origin, paces.of(run).seconds) == (PROBED, kind["seconds"])
    assert paces.start == 4


def test_there_is_no_time_for_all_kinds(make_run: Callable, costs: Costs):
    runs = [Pretraining.of(make_run(seed=seed)) for seed in range(3)]
    assert len(calibrate(costs, runs, started=4.0, seconds=0.0, threads=1)["kinds"]) == 0
    assert len(calibrate(costs, runs, started=4.0, seconds=0.01, threads=1)["kinds"]) == 1
