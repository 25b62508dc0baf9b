"""Fine-tuning: what it learns, from what, and that no interruption changes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from phenoviews import methods, models
from phenoviews.data import Images
from phenoviews.data.pool import pool
from phenoviews.errors import NotMeasured, UserError
from phenoviews.study.metrics import METRICS, measured
from phenoviews.study.resolved import Embedding, FineTuning, FrozenEmbedding, Resolved
from phenoviews.training import checkpoint as checkpoints
from phenoviews.training.embed import evaluation_view, loader
from phenoviews.training.fine_tuning import FineTuner, fine_tune
from phenoviews.values import checked, dimensions

CPU = torch.device("cpu")
PLAIN = [{"normalize": {}}]
FLIPS = [{"random_horizontal_flip": {"p": 0.5}}, {"normalize": {}}]


@pytest.fixture
def trained(make_run: Callable, tmp_path: Path) -> dict[str, Path]:
    """The files of an encoder and a projector."""
    torch.manual_seed(0)
    run = make_run()
    method = methods.build(run.method.to_dict(), models.build(run.backbone.to_dict()), sets=1, images=1)
    files = {"encoder": tmp_path / "encoder.pt", "projector": tmp_path / "projector.pt"}
    for name, file in files.items():
        torch.save(getattr(method, name).state_dict(), file)
    return files


def settings(run: Resolved, transform: list | None = None, **changes) -> FineTuning:
    assert run.training is not None
    sgd = {"optimizer": "sgd", "lr": 0.05, "weight_decay": 0.0, "schedule": "cosine", "warmup_epochs": 0}
    training = {"batch_size": 50, "epochs": 2, "precision": "fp32", **sgd, **changes}
    return FineTuning(transform=transform or PLAIN, training=replace(run.training, **training))


@pytest.fixture
def tune(make_run: Callable, digits: Path, trained: dict, tmp_path: Path) -> Callable:
    def tune(of: FineTuning, run: Resolved | None = None, files: dict | None = None) -> tuple:
        run = run or make_run()
        stage = FrozenEmbedding if files else Embedding
        return fine_tune(
            stage.of(run).to_dict(), files or trained, of, run.seed, digits, tmp_path / "tuning.pt", threads=1
        )

    return tune


def test_values_are_those_that_the_study_tells_and_of_the_predictions(tune: Callable, make_run: Callable, digits: Path):
    values, predictions = tune(settings(make_run()))
    assert checked(values).equals(values)
    assert set(values["metric"]) == set(measured("fine_tuning"))
    for metric, of in values.groupby("metric"):
        there = {key for key in dimensions(of) if (of[key].notna() & (of[key] != "")).all()}
        assert there == set(METRICS[metric].dimensions)
    assert set(values["regime"]) == {"fine-tuned"}
    right = predictions == Images.open(digits).labels("test")
    assert values.set_index("metric").at["fine_tuned_top1", "value"] == pytest.approx(100 * right.mean())


def test_encoder_and_classifier_learn_together(tune: Callable, make_run: Callable):
    values, _ = tune(settings(make_run(), epochs=12, lr=0.1))
    assert values.set_index("metric").at["fine_tuned_top1", "value"] > 60  # of ten digits, from a random encoder


def test_its_steps_are_those_of_sgd_on_the_cross_entropy(make_run: Callable, digits: Path, trained: dict):
    """Ten steps beside a plain loop over the same rows: momentum 0.9, a cosine to 0."""
    run, images = make_run(), Images.open(digits)
    load, dataset = loader(Embedding.of(run).to_dict(), trained)
    of = settings(run, epochs=2)
    tuner = FineTuner(load(CPU), of, images, dataset, run.seed, CPU)

    encoder = load(CPU).requires_grad_(True)
    torch.manual_seed(run.seed)
    joined = nn.Sequential(encoder, nn.Linear(tuner.network[1].in_features, 10)).train()
    optimizer = torch.optim.SGD(joined.parameters(), lr=0.05, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, tuner.steps)
    everything = pool(images, "train", CPU)
    labels, view = torch.from_numpy(images.labels("train")), evaluation_view(dataset)
    assert tuner.steps >= 10
    for step in range(10):
        rows = tuner.rows(step)
        found = tuner.advance()
        loss = F.cross_entropy(joined(view(everything.take(rows), torch.Generator())), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        torch.testing.assert_close(found, loss.detach(), rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(tuner.network.parameters(), joined.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)


def test_interrupted_anywhere_it_ends_alike(
    tune: Callable, make_run: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    of = settings(make_run(), FLIPS, checkpoint_minutes=0)
    values, predictions = tune(of)
    checkpoints.discard(tmp_path / "tuning.pt")
    advance, steps = FineTuner.advance, []

    def counted(tuner: FineTuner) -> torch.Tensor:
        if len(steps) in (3, 8):  # inside the first epoch and the second
            steps.append(None)
            raise KeyboardInterrupt
        steps.append(tuner.step)
        return advance(tuner)

    monkeypatch.setattr(FineTuner, "advance", counted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune(of)
    again, predicted = tune(of)
    done = [step for step in steps if step is not None]
    assert done == list(range(len(done)))
    assert again.equals(values)
    np.testing.assert_array_equal(predicted, predictions)
    # All steps are done: what is left is only to look.
    monkeypatch.setattr(FineTuner, "advance", lambda tuner: pytest.fail("a step"))
    assert tune(of)[0].equals(values)


def test_another_encoder_or_other_settings_do_not_go_on_from_its_checkpoint(
    tune: Callable, make_run: Callable, trained: dict, capsys: pytest.CaptureFixture
):
    tune(settings(make_run()))
    tune(settings(make_run(), lr=0.01))
    assert "belongs to other settings or data" in capsys.readouterr().err
    torch.save({key: value + 0.01 for key, value in torch.load(trained["encoder"]).items()}, trained["encoder"])
    tune(settings(make_run(), lr=0.01))
    assert "belongs to other settings or data" in capsys.readouterr().err


def test_it_starts_from_the_encoder_whichever_output_is_evaluated(tune: Callable, make_run: Callable):
    of = settings(make_run())
    encoder, projector = (tune(of, make_run(evaluate=output))[0] for output in ("encoder", "projector"))
    assert encoder.equals(projector)


def test_an_encoder_that_nobody_trained_here_is_fine_tuned_too(tune: Callable, make_run: Callable):
    values, _ = tune(settings(make_run(), epochs=1), files={"weights": []})
    assert values["value"].notna().any()


def test_a_fine_tuning_that_diverges_is_a_result(tune: Callable, make_run: Callable):
    with pytest.raises(NotMeasured, match=r"^the fine-tuning: not a number in epoch 0, lr 1e\+30$"):
        tune(settings(make_run(), lr=1e30, schedule="constant"))


def test_a_batch_that_is_larger_than_the_data_is_refused(tune: Callable, make_run: Callable):
    with pytest.raises(
        UserError, match=r"fine_tuning\.training\.batch_size is 1000, but there are 300 training images"
    ):
        tune(settings(make_run(), batch_size=1000))
