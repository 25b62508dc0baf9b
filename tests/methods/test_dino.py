"""DINO: its loss against lightly's, its centre, temperature and prototypes by epochs, ten steps by its equations."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from lightly.loss import DINOLoss
from tests.methods.equations import EMA, Equations, assert_ten_steps, follow, parameters, tau
from tests.methods.small import LATE, PARAMS, Encoder, begin, build, loss_of, new, pair, sgd, step, views
from torch import nn

from phenoviews import methods
from phenoviews.methods.dino import sharpened, warmed

OURS = PARAMS["dino"]


def test_the_loss_and_the_centre_are_lightlys():
    """Over several steps, each with the centre of those before it."""
    method = build("dino")
    first, last = OURS["teacher_temperature"]
    theirs = DINOLoss(OURS["prototypes"], first, last, OURS["teacher_warmup_epochs"], OURS["temperature"])
    for _ in range(3):
        first, second = views(), views()
        twin = copy.deepcopy(method)
        student = [twin.prototypes(twin.embed(view)) for view in (first, second)]
        teacher = [twin.momentum(view) for view in (first, second)]
        expected = theirs(teacher, student, epoch=LATE)
        torch.testing.assert_close(loss_of(method, [(1.0, first, second)]), expected)
        method.after_step(0.5)
        torch.testing.assert_close(method.centre.value, theirs.center[0, 0])
    assert method.centre.value.abs().max() > 0


def test_the_teachers_distribution_by_hand():
    outputs, centre = torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([0.5, 0.0])
    found = sharpened(outputs, centre, 0.5)
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # relative to the centre, over the temperature: 1, 0 and 0, 1
    torch.testing.assert_close(found, expected.softmax(1))


@pytest.mark.parametrize("epochs", [1, 2, 50])
def test_the_teachers_temperature_rises_in_equal_steps(epochs):
    """As numpy.linspace has it, and lightly's schedule."""
    found = [warmed(epoch, (0.04, 0.07), epochs) for epoch in range(epochs + 3)]
    assert found == pytest.approx([*np.linspace(0.04, 0.07, epochs), 0.07, 0.07, 0.07])
    assert found[:epochs] == pytest.approx(DINOLoss(3, 0.04, 0.07, epochs).teacher_temp_schedule.tolist())
    assert warmed(0, (0.04, 0.07), 0) == 0.07


def test_a_step_in_every_epoch_has_its_epochs_temperature():
    method = new("dino", teacher_warmup_epochs=3, teacher_temperature=[0.04, 0.08])
    temperatures = []
    for epoch in range(5):
        begin(method, epoch)
        temperatures.append(method.teacher_temperature)
    assert temperatures == pytest.approx([0.04, 0.06, 0.08, 0.08, 0.08])


def test_prototypes_are_frozen_at_first():
    method = new("dino")
    optimizer = sgd(method)
    start = method.prototypes.weight.detach().clone()
    for epoch in range(OURS["frozen_epochs"] + 1):
        assert torch.equal(method.prototypes.weight, start)
        begin(method, epoch)
        step(method, pair(), optimizer, 0.1)
    assert not torch.equal(method.prototypes.weight, start)


def test_the_centre_is_of_all_sets():
    method = build("dino", sets=2)
    pairs = [*pair(), *pair()]
    with torch.no_grad():
        outputs = torch.cat([copy.deepcopy(method).momentum(view) for _, *each in pairs for view in each])
    step(method, pairs, sgd(method), 0.1)
    torch.testing.assert_close(method.centre.value, (1 - OURS["centre_momentum"]) * outputs.mean(0))


def test_the_head_has_gelu_and_small_weights():
    """As in solo-learn: a truncated normal of 0.02, no biases; the prototypes start as torch's linear layers do."""
    wide = {"hidden": [256, 256], "out": 128, "batch_norm": False}
    method = methods.build(OURS | {"projector": wide, "prototypes": 500}, Encoder(), sets=1, images=1)
    layers = list(method.projector)
    assert [type(layer) for layer in layers] == [nn.Linear, nn.GELU, nn.Linear, nn.GELU, nn.Linear]
    for layer in layers[::2]:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.any()
    assert method.prototypes.weight.std().item() == pytest.approx((3 * 128) ** -0.5, rel=0.05)


class DINOEquations(Equations):
    def __init__(self, method):
        super().__init__(method)
        self.directions = method.prototypes.weight.detach().clone().requires_grad_()
        self.teacher = copy.deepcopy((self.encoder, self.projector, self.directions))
        self.centre = torch.zeros(len(self.directions))

    def begin(self, epoch, generator):
        self.trained = parameters(self.encoder, self.projector)
        if epoch >= OURS["frozen_epochs"]:
            self.trained.append(self.directions)
        first, last = OURS["teacher_temperature"]
        self.sharpness = ([first, last] + 9 * [last])[epoch]
        assert OURS["teacher_warmup_epochs"] == 2

    @staticmethod
    def scores(encoder, projector, directions, view):
        z = projector(encoder(view))
        z, prototypes = (x / x.norm(dim=1, keepdim=True) for x in (z, directions))
        return z @ prototypes.T

    def loss(self, first, second, rows):
        """Equations 1 to 3 and algorithm 1."""
        with torch.no_grad():
            t = [self.scores(*self.teacher, view) for view in (first, second)]
        s = [self.scores(self.encoder, self.projector, self.directions, view) for view in (first, second)]
        self.mean = torch.cat(t).mean(0)
        total = torch.zeros(())
        for one, other in ((0, 1), (1, 0)):
            teacher = torch.exp((t[other] - self.centre) / self.sharpness)
            student = torch.exp(s[one] / OURS["temperature"])
            teacher, student = (x / x.sum(1, keepdim=True) for x in (teacher, student))
            total = total - (teacher * student.log()).sum(1).mean()
        return total / 2

    def end(self, progress):
        """Equation 4, and the teacher's average, of which the prototypes are a part."""
        self.centre = OURS["centre_momentum"] * self.centre + (1 - OURS["centre_momentum"]) * self.mean
        slow = [*parameters(*self.teacher[:2]), self.teacher[2]]
        follow(slow, [*parameters(self.encoder, self.projector), self.directions], tau(progress))


def test_ten_steps_by_the_equations():
    assert_ten_steps("dino", DINOEquations, ema=EMA)
