"""DeepCluster v2: its loss, its memory and assignments by hand, ten steps by its equations."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from tests.methods.embeddings import D, N, directions, embeddings
from tests.methods.equations import Equations, assert_ten_steps
from tests.methods.small import IMAGES, PARAMS, begin, build, new, pair, views
from torch.nn import functional as F

from phenoviews.errors import UserError
from phenoviews.methods.deepcluster import NONE, assignment_loss
from phenoviews.methods.parts.float32 import unit

OURS = PARAMS["deepcluster"]


def test_the_loss_is_torchs_cross_entropy_of_the_cosines():
    (x,), prototypes = embeddings(count=1, scale=3), directions(7)
    assigned = torch.randint(7, (N,))
    cosines = F.cosine_similarity(x[:, None], prototypes[None], dim=2)
    expected = F.cross_entropy(cosines / 0.1, assigned)
    torch.testing.assert_close(assignment_loss(x, prototypes, 0.1, assigned=assigned), expected)
    assigned[::2] = NONE
    expected = F.cross_entropy(cosines[1::2] / 0.1, assigned[1::2])
    torch.testing.assert_close(assignment_loss(x, prototypes, 0.1, assigned=assigned), expected)


def test_the_loss_by_hand():
    """Two prototypes at right angles, an embedding on the first of them; one that has no target costs nothing."""
    x, assigned = torch.tensor([[5.0, 0.0], [0.0, 1.0]]), torch.tensor([0, NONE])
    assert assignment_loss(x, torch.eye(2), 0.5, assigned=assigned).item() == pytest.approx(math.log(1 + math.exp(-2)))


def test_where_no_image_has_a_target_the_loss_is_0():
    (x,) = embeddings(count=1)
    loss = assignment_loss(x, directions(7), 0.1, assigned=torch.full((N,), NONE))
    loss.backward()
    assert loss.item() == 0
    assert not x.grad.any()


def test_the_loss_is_float32_inside_autocast():
    x, prototypes, assigned = torch.randn(N, D).bfloat16(), directions(7), torch.randint(7, (N,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = assignment_loss(x, prototypes, 0.1, assigned=assigned)
    assert torch.equal(value, assignment_loss(x.float(), prototypes, 0.1, assigned=assigned))


def test_the_first_epoch_gathers_embeddings_of_both_views():
    method = new("deepcluster")
    begin(method, 0)
    rows, images = torch.tensor([4, 0, 7]), (views(3), views(3))
    expected = [unit(copy.deepcopy(method).embed(view)).detach() for view in images]
    assert method([(1.0, *images)], rows) is None
    for memory, embedded in zip(method.memory, expected, strict=True):
        torch.testing.assert_close(memory[rows], embedded)
        assert memory.any(dim=1).nonzero()[:, 0].tolist() == [0, 4, 7]
    assert (method.assigned == NONE).all()


def test_an_epoch_begins_with_clusterings_of_the_last_ones_embeddings():
    """Two bundles of images in each view, divided otherwise in the second; of the last image there is none."""
    method = new("deepcluster", images=7, prototypes=2, clusterings=3)
    dim = method.projector.dim
    east, west = torch.eye(dim)[0], -torch.eye(dim)[0]
    method.memory[0, :6] = torch.stack([east, east, east, west, west, west])
    method.memory[1, :6] = torch.stack([east, west, east, west, east, west])
    begin(method, 1)
    for clustering, bundles in enumerate(([0, 1, 2], [0, 2, 4], [0, 1, 2])):
        assigned, prototypes = method.assigned[clustering], method.prototypes[clustering]
        found = prototypes[assigned[:6]][:, 0]
        assert found.tolist() == pytest.approx([1 if image in bundles else -1 for image in range(6)])
        assert assigned[6] == NONE
    assert not method.memory.any()
    assert not method.gathers


def test_every_clustering_starts_from_images_of_its_own():
    """Drawn one after the other from the epoch's generator."""
    method = build("deepcluster", prototypes=3, iterations=1)
    method.memory.copy_(unit(torch.randn(IMAGES, method.projector.dim)).expand_as(method.memory))
    memory = method.memory[0].clone()
    method.iterations = 0
    begin(method, 5)
    generator = torch.Generator().manual_seed(5)
    for prototypes in method.prototypes:
        assert torch.equal(prototypes, memory[torch.randperm(IMAGES, generator=generator)[:3]])


def test_a_step_remembers_for_the_next_epoch():
    method = build("deepcluster", sets=2)
    rows = torch.tensor([3, 1, 5, 2, 8, 0])
    pairs = [*pair(), *pair()]
    expected = [unit(copy.deepcopy(method).embed(view)).detach() for view in pairs[0][1:]]
    before = method.assigned.clone()
    method(pairs, rows).backward()
    torch.testing.assert_close(method.memory[:, rows], torch.stack(expected))
    assert torch.equal(method.assigned, before)


@pytest.mark.parametrize("epoch", [0, 1])
def test_fewer_images_than_prototypes_are_refused(epoch):
    """At once, or where an epoch drops so many that too few are left."""
    method = new("deepcluster", images=OURS["prototypes"] - (epoch == 0))
    with pytest.raises(UserError, match="fewer than its 16 `prototypes`; lower these"):
        begin(method, epoch)


class DeepClusterEquations(Equations):
    CLUSTERS = 4

    def __init__(self, method):
        super().__init__(method)
        self.memory: tuple[dict, dict] = ({}, {})

    def begin(self, epoch, generator):
        """K-means of the embeddings of the last epoch's views, the first and the second in turn."""
        self.epoch, self.clusterings = epoch, []
        if epoch > 0:
            for number in range(OURS["clusterings"]):
                memory = self.memory[number % 2]
                images = sorted(memory)
                points = torch.stack([memory[image] for image in images])
                drawn = torch.randperm(len(images), generator=generator)[: self.CLUSTERS]
                centroids = [points[place] for place in drawn]
                for _ in range(OURS["iterations"]):
                    nearest = self.nearest(points, centroids)
                    for cluster in range(self.CLUSTERS):
                        members = [point for point, one in zip(points, nearest, strict=True) if one == cluster]
                        if members:
                            mean = sum(members) / len(members)
                            centroids[cluster] = mean / mean.norm()
                assigned = dict(zip(images, self.nearest(points, centroids), strict=True))
                self.clusterings.append((torch.stack(centroids), assigned))
        self.memory = ({}, {})

    @staticmethod
    def nearest(points, centroids):
        return [max(range(len(centroids)), key=lambda c, p=p: float(p @ centroids[c])) for p in points]

    def loss(self, first, second, rows):
        """Multinomial logistic loss with the centroids for weights, mean over the images that have a cluster, both
        views and the clusterings."""
        z = [self.embed(view) for view in (first, second)]
        z = [x / x.norm(dim=1, keepdim=True) for x in z]
        for memory, embedded in zip(self.memory, z, strict=True):
            memory.update(zip(rows.tolist(), embedded.detach(), strict=True))
        if self.epoch == 0:
            return None
        total = torch.zeros(())
        for centroids, assigned in self.clusterings:
            known = [place for place, image in enumerate(rows.tolist()) if image in assigned]
            for embedded in z:
                for place in known:
                    scores = torch.exp(centroids @ embedded[place] / OURS["temperature"])
                    share = scores[assigned[rows[place].item()]] / scores.sum()
                    total = total - share.log() / len(known) / 2 / OURS["clusterings"]
        return total


def test_ten_steps_by_the_equations():
    """An epoch has two thirds of the images, each time others; the first has no loss."""
    method = assert_ten_steps("deepcluster", DeepClusterEquations, prototypes=DeepClusterEquations.CLUSTERS)
    assert (method.assigned == NONE).any()
    assert (method.assigned != NONE).any()
