from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from phenoviews import methods, models
from phenoviews.data import Images
from phenoviews.data.pool import pool
from phenoviews.errors import NotMeasured
from phenoviews.study.resolved import Embedding, Resolved
from phenoviews.training.embed import evaluation_view, features, load
from phenoviews.training.probe import fit, probe
from phenoviews.training.subject import Subject


@pytest.fixture
def weights(make_run: Callable, tmp_path: Path) -> tuple[Path, Path]:
    torch.manual_seed(0)
    run = make_run()
    method = methods.build(run.method.to_dict(), models.build(run.backbone.to_dict()), sets=1, images=1)
    torch.save(method.encoder.state_dict(), tmp_path / "encoder.pt")
    torch.save(method.projector.state_dict(), tmp_path / "projector.pt")
    return tmp_path / "encoder.pt", tmp_path / "projector.pt"


def test_classifier_is_as_good_as_logistic_regression(make_run: Callable):
    """On the pixels of scikit-learn's digits, where both reach about 96 percent."""
    found = load_digits()
    x, y = found.data.astype(np.float32) / 16, found.target
    torch.manual_seed(0)
    train, labels = torch.from_numpy(x[:1200]), torch.from_numpy(y[:1200])
    classifier, loss = fit(lambda epoch: train, labels, 10, make_run().probe)
    with torch.no_grad():
        ours = (classifier(torch.from_numpy(x[1200:])).argmax(1).numpy() == y[1200:]).mean()
    reference = LogisticRegression(C=1.0, max_iter=2000).fit(x[:1200], y[:1200])
    assert ours == pytest.approx(reference.score(x[1200:], y[1200:]), abs=0.02)
    with torch.no_grad():
        assert loss == pytest.approx(torch.nn.functional.cross_entropy(classifier(train), labels).item(), abs=0.02)


def test_learning_rate_falls_at_the_milestones(make_run: Callable):
    """With one image and one step per epoch, the distance moved per epoch shows the learning rate."""
    moved = []

    def inputs(epoch: int) -> torch.Tensor:
        return torch.zeros(2, 3)  # only the bias learns

    for epochs in (1, 2, 3):
        torch.manual_seed(0)
        changes = {"epochs": epochs, "momentum": 0.0, "milestones": [1, 2], "lr_scaling": False, "lr": 1e-2}
        settings = make_run(probe=changes).probe
        classifier, _ = fit(inputs, torch.tensor([0, 0]), 2, settings)
        moved.append(classifier.bias.detach().clone())
    first, second = (moved[1] - moved[0]).abs().sum(), (moved[2] - moved[1]).abs().sum()
    assert (second / first).item() == pytest.approx(0.1, rel=0.05)


@pytest.fixture
def measured(weights: tuple, digits: Path) -> Callable[[Resolved], pd.DataFrame]:
    """What a run's probe finds."""

    def measure(run: Resolved) -> pd.DataFrame:
        images, device = Images.open(digits), torch.device("cpu")
        network = load(Embedding.of(run), *weights, device)
        test = features(network, pool(images, "test", device), evaluation_view(run.dataset)).numpy()
        found, predictions = probe(Subject(network, images, run.dataset, test, run.seed, device), run.probe)
        right = predictions == images.labels("test")
        assert found.set_index("metric").at["top1", "value"] == pytest.approx(100 * right.mean())
        return found

    return measure


def test_scores_are_those_of_the_classifier_by_class(
    weights: tuple, make_run: Callable, digits: Path, measured: Callable
):
    run = make_run()
    found = measured(run)
    assert set(found["regime"]) == {"linear"}
    assert set(found["class"]) == {"", *"0123456789"}
    values = found.set_index(["metric", "class"])["value"]
    images = Images.open(digits)
    network, view = load(Embedding.of(run), *weights, torch.device("cpu")), evaluation_view(run.dataset)
    train, test = (features(network, pool(images, s, "cpu"), view) for s in ("train", "test"))
    torch.manual_seed(run.seed)
    classifier, loss = fit(lambda epoch: train, torch.from_numpy(images.labels("train")), 10, run.probe)
    right = classifier(test).argmax(1).numpy() == images.labels("test")
    assert values["top1", ""] == pytest.approx(100 * right.mean())
    assert values["accuracy", "7"] == pytest.approx(100 * right[images.labels("test") == 7].mean())
    assert values["train_loss", ""] == pytest.approx(loss)
    assert found.equals(measured(run))


def test_embedding_once_is_only_quicker(make_run: Callable, measured: Callable):
    """A blur of a single pixel counts as random, so that every epoch embeds anew, and changes nothing."""
    blurred = [{"gaussian_blur": {"kernel_size": 1, "p": 0.5}}, {"normalize": {}}]
    once, anew = (measured(make_run(probe={"epochs": 3, "transform": of})) for of in (blurred[1:], blurred))
    assert once.equals(anew)


def test_random_transform_is_drawn_anew_in_every_epoch(make_run: Callable, measured: Callable):
    flips = [{"random_horizontal_flip": {"p": 0.5}}, {"normalize": {}}]
    losses = []
    for transform in (flips, flips, flips[1:]):
        found = measured(make_run(probe={"epochs": 2, "transform": transform}))
        losses.append(found.set_index("metric").at["train_loss", "value"])
    assert losses[0] == losses[1] != losses[2]


def test_a_classifier_that_diverges_is_a_result(make_run: Callable, measured: Callable):
    with pytest.raises(NotMeasured, match=r"^the classifier's loss is not a number; lower probe\.lr \(1e\+38\)$"):
        measured(make_run(probe={"lr": 1e38}))
