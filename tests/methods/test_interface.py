"""The interface carries what the nine further methods need, shown on the smallest methods that need it.

Barlow Twins and VIbCReg need no more than a pair's loss; ReSSL's unlike views are the transform's; NNCLR and
NNBYOL add a queue to a pair's loss. What is left: prototypes (SwAV, DINO), clustering by epochs (DeepCluster
v2), a group with a constant learning rate (SimSiam).
"""

from __future__ import annotations

import pytest
import torch
from tests.methods.small import Encoder
from torch import Tensor, nn
from torch.nn import functional as F

from phenoviews import methods
from phenoviews.methods.base import Method
from phenoviews.methods.byol import regression
from phenoviews.methods.parts.float32 import unit
from phenoviews.methods.parts.heads import mlp


class Prototypes(Method):
    """SwAV's and DINO's needs: prototypes, frozen for some epochs, of length 1 after every step."""

    def __init__(self, encoder: nn.Module, prototypes: int, frozen_epochs: int):
        super().__init__(encoder, mlp(encoder.dim, [8], 4, True))
        self.prototypes = nn.Linear(4, prototypes, bias=False)
        self.frozen_epochs = frozen_epochs

    def before_epoch(self, epoch: int) -> None:
        self.prototypes.requires_grad_(epoch >= self.frozen_epochs)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        scores = [self.prototypes(unit(self.embed(view))) for view in (first, second)]
        return F.cross_entropy(scores[0], (scores[1].detach() / 0.1).softmax(dim=1))

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        self.prototypes.weight.copy_(unit(self.prototypes.weight))


class Clustered(Method):
    """DeepCluster v2's needs: a memory per training image, clustered as an epoch begins."""

    def __init__(self, encoder: nn.Module, clusters: int, images: int):
        super().__init__(encoder, mlp(encoder.dim, [], 4, False))
        self.register_buffer("memory", torch.zeros(images, 4))
        self.register_buffer("targets", torch.zeros(images, dtype=torch.int64))
        self.register_buffer("clustered", torch.tensor(-1))
        self.register_buffer("centroids", torch.randn(clusters, 4))

    def before_epoch(self, epoch: int) -> None:
        if self.clustered.item() == epoch:  # resumed inside this epoch: its targets are in the state
            return
        self.targets.copy_((self.memory @ self.centroids.T).argmax(dim=1))
        self.clustered.fill_(epoch)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [unit(self.embed(view)) for view in (first, second)]
        self.memory.index_copy_(0, self.rows, embeddings[0].detach())
        return sum(F.cross_entropy(e @ self.centroids.T, self.targets[self.rows]) for e in embeddings)


class ConstantRate(Method):
    """SimSiam's need: a predictor whose learning rate stays."""

    def __init__(self, encoder: nn.Module):
        super().__init__(encoder, mlp(encoder.dim, [], 4, False))
        self.predictor = mlp(4, [8], 4, True)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        embeddings = [self.embed(view) for view in (first, second)]
        predictions = [self.predictor(e) for e in embeddings]
        return (regression(predictions[0], embeddings[1]) + regression(predictions[1], embeddings[0])) / 4

    def parameter_groups(self) -> list[dict]:
        predictor = list(self.predictor.parameters())
        rest = [*self.encoder.parameters(), *self.projector.parameters()]
        return [{"params": rest}, {"params": predictor, "scheduled": False}]


@pytest.fixture(autouse=True)
def _more_methods(monkeypatch):
    for kind, method in {"prototypes": Prototypes, "clustered": Clustered, "constant": ConstantRate}.items():
        monkeypatch.setitem(methods.METHODS, kind, method)


def epoch(method: Method, optimizer: torch.optim.Optimizer, number: int, images: Tensor, start: int = 0) -> None:
    """What the training loop does, from batch `start` on."""
    method.before_epoch(number)
    batches = torch.arange(len(images)).split(4)
    for rows in batches[start:]:
        loss = method([(1.0, images[rows], images[rows] + 0.1)], rows)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        method.after_step(0.5)


def test_prototypes_freeze_thaw_and_keep_their_length():
    method = methods.build({"kind": "prototypes", "prototypes": 5, "frozen_epochs": 1}, Encoder(), sets=1, images=8)
    optimizer = torch.optim.SGD(method.parameter_groups(), lr=0.1, momentum=0.9, weight_decay=0.1)
    images = torch.randn(8, 3, 6, 6)
    method.after_step(0.0)
    start = method.prototypes.weight.clone()
    epoch(method, optimizer, 0, images)
    torch.testing.assert_close(method.prototypes.weight, start)
    epoch(method, optimizer, 1, images)
    assert not torch.allclose(method.prototypes.weight, start)
    torch.testing.assert_close(method.prototypes.weight.norm(dim=1), torch.ones(5))


def test_clustering_by_epochs_resumes_inside_one():
    images = torch.randn(12, 3, 6, 6)

    def start() -> tuple[Method, torch.optim.Optimizer]:
        method = methods.build({"kind": "clustered", "clusters": 3}, Encoder(), sets=1, images=len(images))
        return method, torch.optim.SGD(method.parameter_groups(), lr=0.1)

    method, optimizer = start()
    epoch(method, optimizer, 0, images)
    assert method.memory.abs().sum(dim=1).min() > 0  # every image was remembered under its own row
    method.before_epoch(1)
    rows = torch.arange(4)
    method([(1.0, images[rows], images[rows] + 0.1)], rows).backward()
    optimizer.step()
    resumed, other = start()
    resumed.load_state_dict(method.state_dict())
    epoch(method, optimizer, 1, images, start=1)
    epoch(resumed, other, 1, images, start=1)
    for name, value in method.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_group_may_keep_its_learning_rate():
    method = methods.build({"kind": "constant"}, Encoder(), sets=1, images=8)
    groups = method.parameter_groups()
    assert [group.get("scheduled", True) for group in groups] == [True, False]
    assert sum(len(group["params"]) for group in groups) == len(list(method.parameters()))
    optimizer = torch.optim.SGD(groups, lr=0.1)
    assert optimizer.param_groups[1]["scheduled"] is False  # torch's optimizers keep the key
    epoch(method, optimizer, 0, torch.randn(8, 3, 6, 6))
