"""Fine-tuning: a classifier that is trained together with the encoder below it (*No Free Lunch*, Table 6; ambiguity
A-17)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from phenoviews.data.images import Images
from phenoviews.data.pool import pool
from phenoviews.errors import NotMeasured, UserError
from phenoviews.measures.probe import probe_scores
from phenoviews.models.imagenet import required
from phenoviews.study.resolved import Dataset, FineTuning
from phenoviews.training import checkpoint as checkpoints
from phenoviews.training import optim
from phenoviews.training.devices import claim, memory_format, torch_switches
from phenoviews.training.embed import evaluation_view, features, loader, placed, with_statistics
from phenoviews.training.history import History
from phenoviews.training.live import Live
from phenoviews.training.loop import Steps
from phenoviews.training.outcome import FINISHED
from phenoviews.training.progress import all_steps
from phenoviews.views import Transform

# What `probe_scores` finds, under the names that it has here.
NAMES = {name: f"fine_tuned_{name}" for name in ("top1", "accuracy", "f1", "auroc")}


class FineTuner(Steps):
    """A fine-tuning: each image is seen once in a step, under the transform.

    `network`: the encoder and, on its features, a linear classifier.
    """

    def __init__(
        self,
        encoder: nn.Module,
        settings: FineTuning,
        images: Images,
        dataset: Dataset,
        seed: int,
        device: torch.device,
    ):
        super().__init__(pool(images, "train", device), settings.training, seed, device)
        torch.manual_seed(seed)
        with torch.no_grad():
            dim = encoder.eval()(torch.zeros(1, dataset.channels, dataset.size, dataset.size, device=device)).shape[1]
        classifier = nn.Linear(dim, len(images.classes))
        joined = nn.Sequential(encoder.requires_grad_(True), classifier)
        self.layout = memory_format(joined, device)
        self.network = self.trained = placed(joined, device).train()
        self.optimizer = optim.build([{"params": list(self.network.parameters())}], settings.training)
        self.transform = Transform(settings.transform, dataset.size, dataset.mean, dataset.std)
        self.labels = torch.from_numpy(images.labels("train")).to(device)
        self._observed = torch.empty(0)

    @property
    def observed(self) -> Tensor:
        return self._observed

    def learn(self, images: Tensor, rows: Tensor) -> Tensor:
        """The loss is the cross-entropy."""
        views = self.transform(images, self.generator).contiguous(memory_format=self.layout)
        encoder, classifier = self.network
        with self.autocast():
            found = encoder(views)
            scores = classifier(found)
        loss = F.cross_entropy(scores.float(), self.labels[rows])
        self._observed = found.detach()
        self.descend(loss)
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "network": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        super().load_state_dict(state)


def fine_tune(
    run: Mapping[str, Any],
    files: Mapping[str, Any],
    settings: FineTuning,
    seed: int,
    data: Path,
    checkpoint: Path,
    threads: int | None = None,
) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
    """Fine-tune an encoder on the `train` split, whoever trained it, and see how well it does on `test`.

    Args:
        run, files: as for `embed.loader`; of a training the encoder is taken, whichever output is evaluated.
        settings: of the recipe.
        seed: of the run.
        data: the folder of the images.
        checkpoint: as for `pretrain`; it is left to be removed once what is returned has been written.

    Returns:
        values: top-1, and accuracy, F1 and AUROC by class, as from `probe_scores` under the names of `NAMES`, with the
            dimension regime: fine-tuned.
        predictions: (n,), the class that it takes each test image for.

    Raises:
        NotMeasured: the training failed, and how.
        UserError: settings that cannot be.
    """
    images, device = Images.open(data), claim()
    run = {**run, "evaluate": "encoder"} if "evaluate" in run else run
    load, dataset = loader(run, files)
    dataset = with_statistics(images, dataset)
    count = len(images.rows("train"))
    if not 1 <= settings.training.batch_size <= count:
        raise UserError(
            f"fine_tuning.training.batch_size is {settings.training.batch_size}, but there are {count} training "
            "images; lower it"
        )
    weights = Path(files["encoder"]) if "encoder" in files else required(files["weights"])
    decisive = {"run": dict(run), "settings": settings.decisive(), "seed": seed}
    run_hash = checkpoints.run_hash(decisive, checkpoints.data_identity(images), weights)
    with torch_switches(device, threads), checkpoints.Termination() as termination:
        trainer, history = FineTuner(load(device), settings, images, dataset, seed, device), History(device)
        if (state := checkpoints.load(checkpoint, run_hash)) is not None:
            trainer.load_state_dict(state["trainer"])
            history.load_state_dict(state["history"])

        def end_epoch(epoch: int, lr: float) -> None:
            history.end_epoch(trainer.steps_per_epoch * trainer.batch, lr, None)

        def save() -> None:
            state = {"trainer": trainer.state_dict(), "history": history.state_dict()}
            checkpoints.save(checkpoint, run_hash, state)

        live = Live(checkpoint, "fine-tuning", run["name"])
        outcome = all_steps(trainer, history, f"fine-tuning of {run['name']}", end_epoch, save, live, termination)
        termination.at_once()
        if outcome != FINISHED:
            raise NotMeasured(f"the fine-tuning: {outcome.what}")
        trainer.release()
        trainer.network.eval()
        scores = features(trainer.network, pool(images, "test", device), evaluation_view(dataset))
    likely = F.log_softmax(scores, dim=1).cpu().numpy()
    predictions = likely.argmax(axis=1)
    found = probe_scores(images.labels("test"), predictions, images.classes, likely)
    found = found[found["metric"].isin(NAMES)]
    return found.assign(metric=found["metric"].map(NAMES), regime="fine-tuned"), predictions
