"""Every method behind the interface: sums, state, gradients, momentum."""

from __future__ import annotations

import copy

import pytest
import torch
from tests.methods.small import PARAMS, Encoder, N, build, loss_of, pair, sgd, step, views
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from phenoviews import methods
from phenoviews.errors import UserError
from phenoviews.methods.parts.momentum import momentum_tau

MOMENTUM = [kind for kind, parameters in PARAMS.items() if "ema" in parameters]


def test_every_method_has_an_entry_in_the_config():
    assert PARAMS.keys() == methods.METHODS.keys()


@pytest.mark.parametrize("kind", PARAMS)
def test_the_loss_is_a_finite_scalar_that_reaches_every_trained_parameter(kind):
    method = build(kind)
    loss = loss_of(method, pair())
    assert loss.shape == ()
    assert loss.isfinite()
    loss.backward()
    trained = [p for group in method.parameter_groups() for p in group["params"]]
    assert all(p.grad is not None for p in trained)
    untrained = {id(p) for p in method.parameters()} - {id(p) for p in trained}
    momentum = getattr(method, "momentum", nn.Module())
    assert untrained == {id(p) for p in momentum.parameters()}
    assert all(p.grad is None for p in momentum.parameters())


@pytest.mark.parametrize("kind", PARAMS)
def test_two_sets_give_the_weighted_sum_of_their_losses(kind):
    """Nothing couples the sets within a step but the networks."""
    method = build(kind, sets=2)
    pairs = [(0.4, views(), views()), *pair()]
    together = loss_of(method, pairs)
    alone = [method.pair_loss(first, second, i) for i, (_, first, second) in enumerate(pairs)]
    torch.testing.assert_close(together, 0.4 * alone[0] + 1.0 * alone[1])


@pytest.mark.parametrize("kind", ["simclr", "byol", "vicreg", "barlow", "simsiam", "nnclr", "nnbyol", "vibcreg"])
def test_exchanging_the_views_changes_nothing(kind):
    method = build(kind)
    first, second = views(), views()
    torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), loss_of(method, [(1.0, second, first)]))


@pytest.mark.parametrize("kind", PARAMS)
def test_each_view_has_its_own_batch_statistics(kind):
    """What normalises over the batch sees one view at a time."""
    method = build(kind)
    seen: list[int] = []
    for module in method.modules():
        if "running_mean" in dict(module.named_buffers(recurse=False)):
            module.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    loss_of(method, [(1.0, views(), views() + 9)])
    assert set(seen) == {N}


@pytest.mark.parametrize("kind", PARAMS)
def test_observed_features_are_the_encoders(kind):
    """Of the last view that it encoded."""
    method = build(kind)
    encoded: list[Tensor] = []
    method.encoder.register_forward_hook(lambda *call: encoded.append(call[-1]))
    loss_of(method, pair())
    assert not method.observed.requires_grad
    assert torch.equal(method.observed, encoded[-1])


# DINO's teacher, whose distribution is the target, spreads it first, as the centre forms.
@pytest.mark.parametrize("kind", [kind for kind in PARAMS if kind != "dino"])
def test_training_lowers_the_loss(kind):
    method = build(kind)
    images = views(16)
    optimizer = torch.optim.Adam(method.parameter_groups(), lr=3e-3)
    seen = [
        step(
            method,
            [(1.0, images + 0.3 * torch.randn_like(images), images + 0.3 * torch.randn_like(images))],
            optimizer,
            (i + 1) / 60,
        )
        for i in range(60)
    ]
    assert torch.stack(seen[-10:]).mean() < torch.stack(seen[5:15]).mean()


@pytest.mark.parametrize(("kind", "changes"), [*((kind, {}) for kind in PARAMS), ("moco", {"queue_per_set": True})])
def test_state_dict_is_the_whole_state(kind, changes):
    """A copy made from the state dict goes on with the same bits."""
    batches = [[(0.4, views(), views()), *pair()] for _ in range(6)]
    method = build(kind, sets=2, **changes)
    optimizer = sgd(method)
    for i in range(3):
        step(method, batches[i], optimizer, (i + 1) / 6)
    saved, saved_optimizer = copy.deepcopy(method.state_dict()), copy.deepcopy(optimizer.state_dict())

    torch.manual_seed(99)
    resumed = build(kind, sets=2, **changes)
    resumed.load_state_dict(saved)
    other = sgd(resumed)
    other.load_state_dict(saved_optimizer)
    for i in range(3, 6):
        losses_ = [step(m, batches[i], o, (i + 1) / 6) for m, o in ((method, optimizer), (resumed, other))]
        assert torch.equal(*losses_)
    for name, value in method.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


@pytest.mark.parametrize("kind", PARAMS)
def test_autocast_gives_finite_float32_losses_near_the_full_precision(kind):
    method = build(kind, images=32)
    pairs = pair(32)
    full = loss_of(method, pairs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = loss_of(method, pairs)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, full, rtol=0.05, atol=0.05)
    loss.backward()
    method.after_step(0.5)
    assert all(p.grad.isfinite().all() for p in method.parameters() if p.requires_grad)
    assert all(b.dtype in (torch.float32, torch.int64) for b in method.buffers())


class NoHostReads(TorchDispatchMode):
    """Refuses what a GPU would have to be waited for: reading a value, or a shape that depends on values."""

    aten = torch.ops.aten
    refused = (aten._local_scalar_dense, aten.equal, aten.nonzero, aten.masked_select, aten._unique2)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        masks = [i for arg in args if isinstance(arg, list | tuple) for i in arg if isinstance(i, Tensor)]
        assert func.overloadpacket not in self.refused, func
        assert not any(mask.dtype == torch.bool for mask in masks), func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", PARAMS)
def test_a_step_never_reads_a_value_on_the_host(kind):
    method = build(kind, sets=2)
    pairs = [(0.4, views(), views()), *pair()]
    optimizer = sgd(method)
    with NoHostReads():
        step(method, pairs, optimizer, 0.5)
        step(method, pairs, optimizer, 1.0)
        with pytest.raises(AssertionError):
            bool(method.observed.sum() > 0)
        with pytest.raises(AssertionError):
            method.observed[method.observed > 0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("kind", PARAMS)
def test_a_step_never_waits_for_the_gpu(kind):
    method = build(kind, sets=2).cuda()
    pairs = [(0.4, views().cuda(), views().cuda()), (1.0, views().cuda(), views().cuda())]
    optimizer = torch.optim.SGD(method.parameter_groups(), lr=0.1, momentum=0.9, foreach=True)
    step(method, pairs, optimizer, 0.5)
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(method, pairs, optimizer, 1.0)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# ------------------------------------------------------------------------------------------------------- momentum


@pytest.mark.parametrize("kind", MOMENTUM)
def test_the_momentum_copy_follows_what_is_trained(kind):
    method = build(kind)
    networks = [getattr(method, name) for name in ("encoder", "projector", "prototypes") if hasattr(method, name)]
    trained = [p for network in networks for p in network.parameters()]
    slow = list(method.momentum.parameters())
    assert all(torch.equal(a, b) for a, b in zip(trained, slow, strict=True))
    before = [p.detach().clone() for p in slow]
    step(method, pair(), sgd(method), progress=0.25)
    tau = momentum_tau(PARAMS[kind]["ema"], 0.25)
    for old, fast, now in zip(before, trained, slow, strict=True):
        torch.testing.assert_close(now, tau * old + (1 - tau) * fast.detach())


# ----------------------------------------------------------------------------------------------------------- build


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"kind": "simclr2"}, "'simclr2' is none of simclr, "),
        ({"kind": "simclr", "projector": PARAMS["simclr"]["projector"]}, "simclr.*missing: temperature"),
        (PARAMS["simclr"] | {"temprature": 0.1, "name": "mine"}, "mine.*unknown: temprature.*projector, temperature"),
        (PARAMS["moco"] | {"sets": 2}, "unknown: sets"),
    ],
)
def test_wrong_hyper_parameters_are_named(params, said):
    with pytest.raises(UserError, match=said):
        methods.build(params, Encoder(), sets=1, images=1)


@pytest.mark.parametrize("head", ["linear", "identity"])
@pytest.mark.parametrize("kind", PARAMS)
def test_every_method_trains_with_every_head(kind, head):
    """A queue and a predictor are as wide as what the head gives."""
    method = build(kind, projector={**PARAMS[kind]["projector"], "head": head})
    assert method.projector.dim == (method.encoder.dim if head == "identity" else PARAMS[kind]["projector"]["out"])
    before = {name: value.clone() for name, value in method.encoder.named_parameters()}
    losses_ = [step(method, pair(), sgd(method), progress) for progress in (0.5, 1.0)]
    assert torch.stack(losses_).isfinite().all()
    assert not torch.equal(before["convolution.weight"], method.encoder[0].weight)


@pytest.mark.parametrize("kind", PARAMS)
def test_the_seed_decides_the_start(kind):
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(build(kind).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
