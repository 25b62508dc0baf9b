"""Ten steps of a method beside ten by its paper's equations, written again in the tests."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from tests.methods import small
from torch import Tensor, nn

from phenoviews.methods import Method

STEPS = 10
PER_EPOCH = 2
RATE = 0.05
EMA = [0.5, 0.9]  # at which ten steps show


class Equations:
    """A training by a paper's equations in torch's plain operations, from a method's own start. A test fills in
    `loss`, and of the others what the method does besides.

    `trained`: the parameters that a step changes, by plain gradient descent.
    """

    def __init__(self, method: Method):
        self.encoder, self.projector = copy.deepcopy((method.encoder, method.projector))
        self.trained: list[Tensor] = parameters(self.encoder, self.projector)

    def begin(self, epoch: int, generator: torch.Generator) -> None:
        pass

    def loss(self, first: Tensor, second: Tensor, rows: Tensor) -> Tensor | None:
        raise NotImplementedError

    def end(self, progress: float) -> None:
        pass

    def embed(self, images: Tensor) -> Tensor:
        return self.projector(self.encoder(images))


def tau(progress: float) -> float:
    """BYOL's section 3.1, with a base and an end that are not the paper's."""
    return EMA[1] - (EMA[1] - EMA[0]) * (math.cos(math.pi * progress) + 1) / 2


@torch.no_grad()
def follow(slow: Sequence[Tensor], fast: Sequence[Tensor], tau: float) -> None:
    for a, b in zip(slow, fast, strict=True):
        a.copy_(tau * a + (1 - tau) * b)


def parameters(*networks: nn.Module) -> list[Tensor]:
    return [p for network in networks for p in network.parameters()]


def assert_ten_steps(kind: str, equations: type[Equations], rate: float = RATE, **changes: object) -> Method:
    """Equal losses, encoders and projectors in each of ten steps, in five epochs. Returns the method as it is then."""
    method = small.new(kind, **changes)
    written = equations(method)
    optimizer = torch.optim.SGD(method.parameter_groups(), lr=rate)
    with torch.no_grad():
        images = small.views(small.IMAGES)
    for number in range(STEPS):
        epoch, place = divmod(number, PER_EPOCH)
        if place == 0:
            small.begin(method, epoch)
            written.begin(epoch, torch.Generator().manual_seed(epoch))
            order = torch.randperm(small.IMAGES)
        rows = order[place * small.N : (place + 1) * small.N]
        first, second = (images[rows] + 0.3 * torch.randn(small.N, *images.shape[1:]) for _ in range(2))
        loss = method([(1.0, first, second)], rows)
        expected = written.loss(first, second, rows)
        if loss is None or expected is None:
            assert loss is expected
        else:
            said = f"step {number}: {loss.item()}, not {expected.item()}"
            torch.testing.assert_close(loss, expected, rtol=2e-5, atol=1e-5, msg=said)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            gradients = torch.autograd.grad(expected, written.trained)
            with torch.no_grad():
                for parameter, gradient in zip(written.trained, gradients, strict=True):
                    parameter -= rate * gradient
        method.after_step((number + 1) / STEPS)
        written.end((number + 1) / STEPS)
        for ours, theirs in ((method.encoder, written.encoder), (method.projector, written.projector)):
            torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=1e-4, atol=1e-5)
            # The next step begins alike: with few images, batch norm makes a rounding grow tenfold by each step.
            theirs.load_state_dict(ours.state_dict())
    return method
