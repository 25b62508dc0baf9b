from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from lightly.utils.lars import LARS as LightlyLARS
from torch import nn

from phenoviews.errors import UserError
from phenoviews.study.resolved import Training
from phenoviews.training import optim

TRAINING = Training(
    epochs=100,
    batch_size=512,
    optimizer="sgd",
    lr=0.4,
    lr_scaling=True,
    momentum=0.9,
    weight_decay=1e-4,
    schedule="cosine",
    warmup_epochs=10,
    warmup_lr=3e-5,
    min_lr=1e-3,
    min_iters_per_epoch=0,
    precision="fp32",
    checkpoint_minutes=5,
    min_spread=0.01,
    keep="last",
    snapshot_epochs=0,
)


def rates(training: Training, epochs: int = 100, steps_per_epoch: int = 7) -> list[float]:
    steps = epochs * steps_per_epoch
    return [optim.learning_rate(step, steps, steps_per_epoch, training) for step in range(steps)]


def test_warm_up_is_linear_to_the_scaled_peak():
    found = rates(TRAINING)
    assert found[0] == 3e-5
    assert found[70] == pytest.approx(0.8)
    differences = [b - a for a, b in itertools.pairwise(found[:71])]
    assert max(differences) == pytest.approx(min(differences))


def test_cosine_falls_from_the_peak_to_the_least_rate():
    found = rates(TRAINING)
    middle = 70 + 315
    assert found[middle] == pytest.approx((0.8 + 1e-3) / 2)
    assert found[-1] == pytest.approx(1e-3, rel=0.02)
    # torch's own schedule, stepped once per step
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.8)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=630, eta_min=1e-3)
    for rate in found[70:]:
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
        optimizer.step()
        reference.step()


def test_constant_schedule_stays_at_the_peak():
    found = rates(replace(TRAINING, schedule="constant", lr_scaling=False))
    assert set(found[70:]) == {0.4}


def by_the_authors_loop(epochs: int, steps_per_epoch: int, lr: float, min_lr: float = 0.0) -> tuple[list[float], float]:
    """The rate of every epoch, and the one that is left at the end: no step of the scheduler after the first ten
    epochs, one after each that follows."""
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps_per_epoch, eta_min=min_lr)
    found = []
    for epoch in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if epoch >= 10:
            scheduler.step()
    return found, optimizer.param_groups[0]["lr"]


REPO = replace(TRAINING, lr=3e-4, lr_scaling=False, schedule="repo", warmup_epochs=0, min_lr=0.0)


@pytest.mark.parametrize(("epochs", "steps_per_epoch"), [(8, 5), (40, 7), (60, 12), (150, 253), (20, 1)])
@pytest.mark.parametrize("min_lr", [0.0, 1e-5])
def test_repo_schedule_is_the_authors_loop(epochs: int, steps_per_epoch: int, min_lr: float):
    """Also where there are more epochs than T_max: the cosine rises again, and falls again."""
    found = rates(replace(REPO, min_lr=min_lr), epochs, steps_per_epoch)
    per_epoch = [set(found[start : start + steps_per_epoch]) for start in range(0, len(found), steps_per_epoch)]
    assert all(len(epoch) == 1 for epoch in per_epoch)
    expected, _ = by_the_authors_loop(epochs, steps_per_epoch, 3e-4, min_lr)
    assert [epoch.pop() for epoch in per_epoch] == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert found[: 11 * steps_per_epoch] == [3e-4] * min(11, epochs) * steps_per_epoch


@pytest.mark.parametrize(("epochs", "steps_per_epoch", "end"), [(150, 253, 1.2e-4), (600, 1687, 2.2e-4)])
def test_repo_schedule_ends_where_it_did_in_the_paper(epochs: int, steps_per_epoch: int, end: float):
    """15 % of the cells, and all of them, at batch size 256: after the last step of the scheduler."""
    after = optim.learning_rate(epochs * steps_per_epoch, epochs * steps_per_epoch, steps_per_epoch, REPO)
    assert after == pytest.approx(by_the_authors_loop(epochs, steps_per_epoch, 3e-4)[1])
    assert after == pytest.approx(end, abs=0.05e-4)


def test_repo_schedule_after_a_warm_up():
    """The ten epochs are counted from the peak on."""
    plain, warmed = rates(REPO, 40), rates(replace(REPO, warmup_epochs=5), 45)
    assert warmed[5 * 7 :] == plain
    assert warmed[0] == 3e-5


def test_unknown_schedule_is_named():
    with pytest.raises(UserError, match="'step' is none of constant, cosine, repo"):
        optim.learning_rate(80, 100, 7, replace(TRAINING, schedule="step"))


def test_group_that_is_not_scheduled_keeps_its_rate():
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    for name in ("sgd", "adam", "lars"):
        groups = [{"params": [a]}, {"params": [b], "scheduled": False}]
        optimizer = optim.build(groups, replace(TRAINING, optimizer=name))
        optim.set_lr(optimizer, 0.01)
        assert [g["lr"] for g in optimizer.param_groups] == [0.01, 0.8]


def test_unknown_optimizer_is_named():
    with pytest.raises(UserError, match="'rmsprop' is none of sgd, adam, lars"):
        optim.build([{"params": [nn.Parameter(torch.zeros(1))]}], replace(TRAINING, optimizer="rmsprop"))


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_fused_step_equals_the_plain_one_channels_last(name: str):
    """A fused kernel walks through memory: parameter, gradient and state must lie alike in it."""
    torch.manual_seed(0)
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1), nn.Flatten(), nn.Linear(144, 2))
        models.append(net.to(memory_format=torch.channels_last))
    fused = optim.build([{"params": list(models[0].parameters())}], replace(TRAINING, optimizer=name))
    settings = {"lr": 0.8, "weight_decay": 1e-4}
    plain = (
        torch.optim.SGD(models[1].parameters(), momentum=0.9, **settings)
        if name == "sgd"
        else torch.optim.Adam(models[1].parameters(), foreach=False, **settings)
    )
    images = torch.randn(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    for _ in range(3):
        for net, optimizer in zip(models, (fused, plain), strict=True):
            with torch.autocast("cpu", torch.bfloat16):
                net(images).square().mean().backward()
            optimizer.step()
            optimizer.zero_grad()
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "lars"])
def test_a_parameter_that_was_frozen_at_first_starts_like_any_other(name: str):
    """Its first step is that of an optimizer of its own."""
    settings = replace(TRAINING, optimizer=name)
    first, frozen, alone = (nn.Parameter(torch.ones(2, 2)) for _ in range(3))
    together = optim.build([{"params": [first, frozen]}], settings)
    first.grad = torch.ones(2, 2)
    together.step()
    assert torch.equal(frozen, torch.ones(2, 2))
    apart = optim.build([{"params": [alone]}], settings)
    for parameter in (first, frozen, alone):
        parameter.grad = torch.full((2, 2), 0.5)
    together.step()
    apart.step()
    torch.testing.assert_close(frozen, alone)
    assert not torch.allclose(first, frozen)


def layers() -> list[nn.Parameter]:
    torch.manual_seed(1)
    return [nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(2, 3, 3, 3)), nn.Parameter(torch.randn(5))]


@pytest.mark.parametrize("weight_decay", [1e-2, 1e-4])
def test_lars_agrees_with_lightly_where_both_have_it(weight_decay: float):
    """lightly has neither the clipping nor, with weight decay, the exclusion of biases: compare without them."""
    ours, theirs = layers(), layers()
    a = optim.LARS(ours, 0.3, 0.9, weight_decay, clip_lr=False, exclude_bias_n_norm=False)
    b = LightlyLARS(theirs, 0.3, 0.9, weight_decay=weight_decay, trust_coefficient=0.02)
    for step in range(4):
        torch.manual_seed(step)
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn_like(p)
            q.grad = p.grad.clone()
        a.step()
        b.step()
    for p, q in zip(ours, theirs, strict=True):
        torch.testing.assert_close(p, q)


def test_lars_by_hand():
    weight, bias = nn.Parameter(torch.tensor([[3.0, 4.0]])), nn.Parameter(torch.tensor([2.0]))
    optimizer = optim.LARS([weight, bias], lr=0.5, momentum=0.9, weight_decay=0.1, eta=0.02, eps=0.0)
    weight.grad, bias.grad = torch.tensor([[0.0, 1.0]]), torch.tensor([1.0])
    optimizer.step()
    # |w| = 5, |g| = 1: local = 0.02 · 5 / (1 + 0.1 · 5) = 0.0666…, over lr 0.5 = 0.1333… < 1
    local = 0.02 * 5 / 1.5 / 0.5
    first = [local * 0.3, local * 1.4]
    expected = [3 - 0.5 * first[0], 4 - 0.5 * first[1]]
    assert weight.tolist()[0] == pytest.approx(expected)
    assert bias.item() == pytest.approx(1.5)  # neither scaled nor decayed

    # The clipped case: a small gradient, and the momentum of what went before.
    weight.grad, bias.grad = torch.tensor([[0.0, 1e-6]]), torch.tensor([0.0])
    norm = math.hypot(*expected)
    local = min(0.02 * norm / (1e-6 + 0.1 * norm) / 0.5, 1)
    before = list(expected)
    optimizer.step()
    for i, gradient in enumerate((0.0, 1e-6)):
        momentum = 0.9 * first[i] + local * (gradient + 0.1 * before[i])
        expected[i] = before[i] - 0.5 * momentum
    assert weight.tolist()[0] == pytest.approx(expected)
    assert bias.item() == pytest.approx(1.5 - 0.5 * 0.9)


def test_lars_clips_to_the_learning_rate():
    """With a gradient so small that the trust ratio is large, a clipped layer moves as under plain SGD."""
    weight = nn.Parameter(torch.tensor([[30.0, 40.0]]))
    weight.grad = torch.tensor([[0.0, 0.01]])
    optim.LARS([weight], lr=0.5, momentum=0.0, weight_decay=0.0).step()
    assert weight.tolist()[0] == pytest.approx([30.0, 40 - 0.5 * 0.01])


def test_lars_without_clipping_takes_the_whole_trust_ratio():
    """As the setting asks: 0.02 · 50 / 0.01 of the gradient, where the clipped one takes it as it is."""
    moved = {}
    for clip in (True, False):
        weight = nn.Parameter(torch.tensor([[30.0, 40.0]]))
        weight.grad = torch.tensor([[0.0, 0.01]])
        settings = replace(TRAINING, optimizer="lars", lr_scaling=False, weight_decay=0.0, lars_clip=clip)
        optim.build([{"params": [weight]}], settings).step()
        moved[clip] = (40 - weight.tolist()[0][1]) / settings.lr
    assert moved == {True: pytest.approx(0.01, rel=0.01), False: pytest.approx(0.02 * 50, rel=0.01)}


def test_lars_moves_a_layer_of_zeros_by_its_gradient():
    weight, still = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.ones(2, 2))
    weight.grad, still.grad = torch.ones(2, 2), torch.zeros(2, 2)
    optim.LARS([weight, still], lr=0.5, weight_decay=0.1).step()
    assert torch.equal(weight, torch.full((2, 2), -0.5))
    assert torch.equal(still, torch.ones(2, 2))
