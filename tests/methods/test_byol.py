"""BYOL by its definition."""

from __future__ import annotations

import copy

import torch
from tests.methods.small import build, loss_of, views


def test_byol_by_its_definition():
    method = build("byol")
    first, second = views(), views()
    twin = copy.deepcopy(method)
    predictions = [twin.predictor(twin.projector(twin.encoder(v))) for v in (first, second)]
    targets = [twin.momentum(v) for v in (first, second)]
    cosines = [torch.cosine_similarity(predictions[i], targets[1 - i]).mean() for i in range(2)]
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), 4 - 2 * cosines[0] - 2 * cosines[1])
