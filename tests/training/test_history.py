from __future__ import annotations

import math

import pytest
import torch

from phenoviews.training.history import History, spread

CPU = torch.device("cpu")


def test_spread_of_directions():
    torch.manual_seed(0)
    everywhere = torch.randn(2000, 64) * torch.rand(2000, 1)
    assert spread(everywhere).item() == pytest.approx(1, abs=0.02)
    assert spread(torch.randn(1, 64).expand(100, 64)).item() == pytest.approx(0, abs=1e-6)
    half = torch.cat([everywhere[:, :32], torch.zeros(2000, 32)], dim=1)  # half of the dimensions are not used
    assert spread(half).item() == pytest.approx(math.sqrt(0.5), abs=0.02)


def test_a_row_is_the_mean_of_its_epoch():
    history, features = History(CPU), torch.eye(4)
    assert history.mean_loss() is None
    for loss in (1.0, 2.0, 6.0):
        history.add(torch.tensor(loss), features)
    history.end_epoch(images=96, lr=0.1, ami=0.5)
    history.add(torch.tensor(7.0), features)
    assert history.mean_loss() == 7
    history.end_epoch(images=32, lr=0.2, ami=None)
    first, second = history.rows
    assert (first["epoch"], first["loss"], first["lr"], first["ami"]) == (0, 3.0, 0.1, 0.5)
    assert first["spread"] == pytest.approx(spread(features).item())
    assert first["images_per_s"] * first["seconds"] == pytest.approx(96)
    assert first["memory_gb"] is None
    assert (second["epoch"], second["loss"]) == (1, 7.0)


def test_an_epoch_without_a_loss_has_none():
    history = History(CPU)
    history.add(None, torch.eye(4))
    history.end_epoch(images=4, lr=0.1, ami=None)
    assert history.rows[0]["loss"] is None
    assert history.rows[0]["spread"] > 0
