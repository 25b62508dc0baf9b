"""Linear evaluation: how well a linear classifier does on the frozen encoder (*No Free Lunch*, D.1)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phenoviews import values
from phenoviews.data.pool import pool
from phenoviews.errors import NotMeasured
from phenoviews.measures.probe import probe_scores
from phenoviews.study.resolved import Probe
from phenoviews.training.embed import features
from phenoviews.training.optim import peak_lr
from phenoviews.training.subject import Subject
from phenoviews.views import Transform


def probe(subject: Subject, settings: Probe) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """How well a linear classifier that is trained on the embeddings of the `train` split does on `test`.

    The features go in as they are, every epoch sees all training images in a new order and under the probe's transform
    (where that is not random, the embeddings are computed once). The run's seed decides everything. The embeddings of a
    split must fit on the device, the images need not.

    Returns:
        values: those of `probe_scores`, and train_loss (cross-entropy, mean over the last epoch), all with the
            dimension regime: linear.
        predictions: (n,), the class that it takes each test image for.

    Raises:
        NotMeasured: the classifier's loss is not finite.
    """
    images, dataset, device = subject.images, subject.dataset, subject.device
    transform = Transform(settings.transform, dataset.size, dataset.mean, dataset.std)
    train, generator = pool(images, "train", device), torch.Generator(device)
    cached = None if transform.random else features(subject.network, train, transform)

    def inputs(epoch: int) -> Tensor:
        if cached is not None:
            return cached
        generator.manual_seed(subject.seed * 100_003 + epoch)
        return features(subject.network, train, transform, generator)

    labels = torch.from_numpy(images.labels("train")).to(device)
    torch.manual_seed(subject.seed)
    classifier, loss = fit(inputs, labels, len(images.classes), settings)
    if not math.isfinite(loss):
        raise NotMeasured(f"the classifier's loss is not a number; lower probe.lr ({settings.lr:g})")
    with torch.no_grad():
        found = F.log_softmax(classifier(torch.from_numpy(subject.test).to(device)), dim=1).cpu().numpy()
    predictions, truth = found.argmax(axis=1), images.labels("test")
    scores = probe_scores(truth, predictions, images.classes, found, images.superclasses)
    trained = values.table([{"metric": "train_loss", "value": loss}])
    return values.joined([scores, trained]).assign(regime="linear"), predictions


def fit(inputs: Callable[[int], Tensor], labels: Tensor, classes: int, settings: Probe) -> tuple[nn.Linear, float]:
    """A linear classifier trained by SGD on cross-entropy, and its mean loss over the last epoch.

    `inputs`: epoch → features (n, d) of all training images; `labels`: int64 (n,), on the same device. Draws from
    torch's global generator: the start and the order of every epoch.
    """
    found = inputs(0)
    classifier = nn.Linear(found.shape[1], classes).to(found.device)
    optimizer = torch.optim.SGD(
        classifier.parameters(),
        lr=peak_lr(settings),
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, settings.milestones, settings.gamma)
    loss_sum = torch.zeros((), device=found.device)
    for epoch in range(settings.epochs):
        found = inputs(epoch) if epoch else found
        loss_sum.zero_()
        order = torch.randperm(len(found)).to(found.device)
        for rows in order.split(settings.batch_size):
            loss = F.cross_entropy(classifier(found[rows]), labels[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            loss_sum += loss.detach() * len(rows)
        schedule.step()
    return classifier, loss_sum.item() / len(labels)
