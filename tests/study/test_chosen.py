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
    moco = chosen.embedded_with(study, Run("mnist", "plain", "moco+temperature=0.3", "vgg11", 5))
    assert moco == {chosen.METHODS: ["moco"], chosen.BACKBONES: ["vgg11"], chosen.OPERATIONS: {"normalize"}}


def test_a_training_chooses_by_its_settings(study):
    training = chosen.trained_with(study, Run("cifar10", "cifar", "simclr", "resnet18", 5))
    assert (training[chosen.OPTIMIZERS], training[chosen.SCHEDULES]) == (["sgd"], ["cosine"])
    assert (training[chosen.METHODS], training[chosen.KEEPERS]) == (["simclr"], ["last"])
    assert training[chosen.OPERATIONS] == chosen.viewed_with(study, "cifar")[chosen.OPERATIONS] != {"normalize"}


def test_operations_are_those_of_all_sets_and_views_that_are_not_off(study):
    crop = chosen.viewed_with(study, "mnist_first+pad=off")[chosen.OPERATIONS]
    assert crop == {"random_rotation", "random_crop", "random_invert", "normalize"}
    assert {"random_resized_crop", "center_crop"} <= chosen.viewed_with(study, "dual")[chosen.OPERATIONS]


def test_a_probe_uses_its_own_transform_whatever_the_encoder_was_trained_with(study):
    cifar, mnist = (Run(data, "mnist_first", "moco", "vgg11", 5) for data in ("cifar10", "mnist"))
    of_cifar = {"random_resized_crop", "random_horizontal_flip", "normalize"}
    assert chosen.probed_with(study, cifar) == chosen.embedded_with(study, cifar) | {chosen.OPERATIONS: of_cifar}
    assert chosen.probed_with(study, mnist)[chosen.OPERATIONS] == {"normalize"}


def test_a_fine_tuning_uses_its_own_transform_and_optimizer(study):
    run = Run("cifar10", "cifar", "simclr", "resnet18", 5)
    tuning, found = study.fine_tuning(run), chosen.fine_tuned_with(study, run)
    assert found[chosen.OPTIMIZERS] == [tuning.training.optimizer]
    operations = {operation for step in tuning.transform for operation in step}
    assert found[chosen.OPERATIONS] == operations | {"normalize"}
    assert found[chosen.KEEPERS] == []


def test_an_encoder_that_nobody_trains_here_is_of_no_method(study):
    untrained = Run("mnist", "plain", "untrained", "vgg11", 5)
    assert chosen.embedded_with(study, untrained)[chosen.METHODS] == []
