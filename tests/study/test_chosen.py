"""What a job uses of the registries, by which it is run again."""

from __future__ import annotations

import pytest

from phenoviews.study import Run, Study, chosen
from phenoviews.study.document import shipped


@pytest.fixture(scope="module")
def study():
    return Study({**shipped(), "scale": "paper"})


def test_kinds_are_those_of_the_entries_under_any_overrides(study):
    assert chosen.kind(study, "datasets", "cells_taxol+cells=100") == ["cells"]
    assert chosen.kind(study, "screens", "simulated") == ["bbbc021"]
    assert chosen.method(study, Run("mnist", "plain", "moco+temperature=0.3", "vgg11", 5)) == ["moco"]


def test_a_training_chooses_by_its_settings(study):
    run = Run("cifar10", "cifar", "simclr", "resnet18", 5)
    assert (chosen.optimizer(study, run), chosen.schedule(study, run)) == (["sgd"], ["cosine"])
    assert chosen.keeper(study, run) == ["last"]


def test_operations_are_those_of_all_sets_and_views_that_are_not_off(study):
    crop = chosen.training_operations(study, "mnist_first+pad=off")
    assert crop == {"random_rotation", "random_crop", "random_invert", "normalize"}
    assert {"random_resized_crop", "center_crop"} <= chosen.training_operations(study, "dual")


def test_a_probe_uses_its_own_transform_whatever_the_encoder_was_trained_with(study):
    cifar, mnist = (Run(data, "mnist_first", "moco", "vgg11", 5) for data in ("cifar10", "mnist"))
    of_cifar = {"random_resized_crop", "random_horizontal_flip", "normalize"}
    assert chosen.probe_operations(study, cifar) == of_cifar
    assert chosen.probe_operations(study, mnist) == {"normalize"}


def test_an_encoder_that_nobody_trains_here_is_of_no_method(study):
    assert chosen.method(study, Run("mnist", "plain", "untrained", "vgg11", 5)) == []
