from __future__ import annotations

import math

import pytest

from phenoviews.study.names import swept


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (["digits", "cifar+hue=0.25", "moco", "vgg11"], ("hue", 0.25)),
        (["digits", "cifar+color_jitter.hue=0", "moco", "vgg11"], ("color_jitter.hue", 0.0)),
        (["digits", "cifar+random_grayscale=off", "moco+batch_size=64", "vgg11"], ("batch_size", 64.0)),
    ],
)
def test_the_one_number_that_is_overridden(run, expected):
    assert swept(run) == expected


@pytest.mark.parametrize(
    "run",
    [
        ["digits", "cifar", "moco", "vgg11"],
        ["digits", "cifar+hue=0.25", "moco+batch_size=64", "vgg11"],
        ["digits", "cifar+hue=0.25+p=0.5", "moco", "vgg11"],
        ["digits", "cifar+hue=off", "moco+head=linear", "vgg11+init=imagenet"],
        ["digits", "cifar", "", ""],
    ],
)
def test_none_or_several_are_no_sweep(run):
    key, number = swept(run)
    assert key == ""
    assert math.isnan(number)
