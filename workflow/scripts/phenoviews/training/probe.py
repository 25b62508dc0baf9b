"""Linear evaluation: how well a linear classifier does on the frozen encoder (*No Free Lunch*, D.1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phenoviews.data.images import Images
from phenoviews.data.pool import pool
from phenoviews.files import write_json
from phenoviews.measures.probe import probe_scores
from phenoviews.study.resolved import Probe, Probing
from phenoviews.training.devices import claim, settled
from phenoviews.training.embed import evaluation_view, features, load, shown
from phenoviews.training.optim import peak_lr
from phenoviews.views import Transform


def probe(run: Probing, data: Path, encoder: Path, projector: Path, out: Path, threads: int | None = None) -> None:
    """Train a linear classifier on the embeddings of the `train` split and write its scores on `test` as JSON: those
    of `probe_scores`, and train_loss (cross-entropy, mean over the last epoch); where that is not finite, the reason
    why there are none.

    Settings in `run.probe`. The features go in as they are, the encoder is in evaluation mode, every epoch sees
    all training images in a new order and under the probe's transform (where that is not random, the embeddings are
    computed once). The run's seed decides everything. The embeddings of a split must fit on the device, the images
    need not.
    """
    images, device = Images.open(data), claim()
    settings, dataset = run.probe, shown(images, run.dataset)
    with settled(device, threads):
        network = load(run, encoder, projector, device)
        transform = Transform(settings.transform, dataset.size, dataset.mean, dataset.std)
        train, generator = pool(images, "train", device), torch.Generator(device)
        cached = None if transform.random else features(network, train, transform)

        def inputs(epoch: int) -> Tensor:
            if cached is not None:
                return cached
            generator.manual_seed(run.seed * 100_003 + epoch)
            return features(network, train, transform, generator)

        labels = torch.from_numpy(images.labels("train")).to(device)
        torch.manual_seed(run.seed)
        classifier, loss = fit(inputs, labels, len(images.classes), settings)
        if not math.isfinite(loss):
            no_probe(out, f"the classifier's loss is not a number; lower probe.lr ({settings.lr:g})")
            return
        test = features(network, pool(images, "test", device), evaluation_view(dataset))
        with torch.no_grad():
            predictions = classifier(test).argmax(dim=1).cpu().numpy()
    scores = probe_scores(images.labels("test"), predictions, images.classes)
    write_json(out, {**scores, "train_loss": loss})


def no_probe(out: Path, reason: str) -> None:
    """Write in place of scores the reason (one line) why there are none."""
    write_json(out, {"top1": None, "per_class": {}, "reason": reason})


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
