from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from phenoviews import methods, models
from phenoviews.data import Images, embeddings, write
from phenoviews.data.pool import Resident
from phenoviews.errors import NotMeasured, UserError
from phenoviews.study.resolved import Embedding, FrozenEmbedding, Pretraining
from phenoviews.training.embed import embed, embed_frozen, evaluation_view, fetched, load_frozen
from phenoviews.training.loop import Trainer


@pytest.fixture
def weights(make_run: Callable, tmp_path: Path) -> tuple[Path, Path, methods.Method]:
    """The files of an encoder and a projector, and the method that they are of."""
    torch.manual_seed(0)
    run = make_run()
    method = methods.build(run.method.to_dict(), models.build(run.backbone.to_dict()), sets=1, images=1)
    for module in method.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # statistics that are not those of a start
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    torch.save(method.encoder.state_dict(), tmp_path / "encoder.pt")
    torch.save(method.projector.state_dict(), tmp_path / "projector.pt")
    return tmp_path / "encoder.pt", tmp_path / "projector.pt", method.eval()


@pytest.mark.parametrize("evaluate", ["encoder", "projector"])
def test_embeds_the_untransformed_images_in_evaluation_mode(
    weights: tuple, make_run: Callable, digits: Path, tmp_path: Path, evaluate: str
):
    encoder, projector, method = weights
    run = Embedding.of(make_run(evaluate=evaluate))
    out = tmp_path / "e" / "embeddings.npy"
    embed(run, digits, encoder, projector, out, threads=1)
    images = Resident.load(Images.open(digits), "test", "cpu").images
    with torch.no_grad():
        expected = method.encoder(evaluation_view(run.dataset)(images, torch.Generator()))
        if evaluate == "projector":
            expected = method.projector(expected)
    found = np.load(out, allow_pickle=False)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
    assert found.shape == (150, {"encoder": 64, "projector": 16}[evaluate])
    run = replace(run, dataset=replace(run.dataset, evaluated="all"))
    embed(run, digits, encoder, projector, out, threads=1)
    everything = np.load(out, allow_pickle=False)
    assert len(everything) == 450
    np.testing.assert_allclose(everything[Images.open(digits).rows("test")], found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sizes", [[5], [4] * 15 + [1], [4] * 16, [4] * 17, [4] * 40 + [3]])
def test_all_rows_are_fetched_in_their_order(sizes: list[int]):
    rows = torch.arange(2 * sum(sizes), dtype=torch.float32).reshape(-1, 2)
    found = np.concatenate(list(fetched(iter(rows.split(sizes)), len(rows))))
    np.testing.assert_array_equal(found, rows.numpy())


def test_the_evaluation_view_is_resized_and_normalised(make_run: Callable):
    view = evaluation_view(make_run().dataset)
    assert not view.random
    grey = torch.full((1, 1, 8, 8), 51, dtype=torch.uint8)
    expected = torch.full((1, 3, 32, 32), (51 / 255 - 0.5) / 0.5)
    torch.testing.assert_close(view(grey, torch.Generator()), expected)


def test_starting_weights_are_not_needed_again(weights: tuple, make_run: Callable, digits: Path, tmp_path: Path):
    encoder, projector, _ = weights
    run = Embedding.of(make_run(backbone={"init": "imagenet"}))
    embed(run, digits, encoder, projector, tmp_path / "test.npy", threads=1)


def test_files_of_another_run(weights: tuple, make_run: Callable, digits: Path, tmp_path: Path):
    encoder, projector, method = weights
    out = tmp_path / "test.npy"
    with pytest.raises(UserError, match=re.escape(f"{encoder}: these weights do not fit")):
        embed(Embedding.of(make_run(backbone={"width": 0.25})), digits, encoder, projector, out, threads=1)
    torch.save({k: v[:1] for k, v in method.projector.state_dict().items()}, projector)
    with pytest.raises(UserError, match=re.escape(f"{projector}: these weights do not fit the projector of method")):
        embed(Embedding.of(make_run(evaluate="projector")), digits, encoder, projector, out, threads=1)
    with pytest.raises(UserError, match="evaluate: 'head' is neither encoder nor projector"):
        embed(Embedding.of(make_run(evaluate="head")), digits, encoder, projector, out, threads=1)
    assert not out.exists()


def test_embeddings_that_are_not_finite_are_a_reason_or_an_error(
    weights: tuple, make_run: Callable, digits: Path, tmp_path: Path
):
    """A reason where the run's own training made the weights, an error where the user brought them."""
    encoder, projector, method = weights
    run, out = make_run(evaluate="projector"), tmp_path / "test.npy"
    torch.save({key: value * torch.nan for key, value in method.projector.state_dict().items()}, projector)
    embed(Embedding.of(run), digits, encoder, projector, out, threads=1)
    with pytest.raises(NotMeasured, match=r"^the projector's output is not a number$"):
        embeddings.load(out)
    out.unlink()
    state = method.encoder.state_dict()
    torch.save(state | {"features.0.weight": state["features.0.weight"] * torch.inf}, encoder)
    with pytest.raises(UserError, match=re.escape(f"{encoder}: the embeddings that these weights give are not finite")):
        embed_frozen(FrozenEmbedding.of(make_run(backbone={"init": str(encoder)})), digits, encoder, out, threads=1)
    assert not out.exists()


def test_an_untrained_encoder_follows_from_the_seed(make_run: Callable, digits: Path, tmp_path: Path):
    found = []
    for seed in (5, 5, 6):
        embed_frozen(FrozenEmbedding.of(make_run(seed=seed)), digits, None, tmp_path / "test.npy", threads=1)
        found.append(np.load(tmp_path / "test.npy"))
    assert found[0].shape == (150, 64)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2])


def test_an_untrained_encoder_has_the_weights_that_its_training_starts_from(make_run: Callable, digits: Path):
    run = make_run(seed=7)
    images, device = Images.open(digits), torch.device("cpu")
    started = Trainer(Pretraining.of(run), images, device).method.encoder.state_dict()
    untrained = load_frozen(FrozenEmbedding.of(run), None, device)
    assert sum(
        torch.equal(one, two) for one, two in zip(started.values(), untrained.state_dict().values(), strict=True)
    ) == len(started)


def test_real_imagenet_weights_embed_real_cells(make_run: Callable, shared_data: Path, tmp_path: Path):
    """The path that Table 2's ImageNet rows take: 224 pixels, ImageNet's normalisation, weights from a local file."""
    cells = np.load(shared_data / "bbbc021" / "cells-rasmusml.npz", allow_pickle=False)["images"][:4]
    index = pd.DataFrame({"split": "test", "label": 0, "class": "DMSO", "source": "cells"}, index=range(4))
    write(tmp_path / "images.npy", tmp_path / "index.parquet", cells, index)
    seen = {"size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    backbone = {"kind": "mobilenet_v2", "stem": "standard", "width": 1.0, "batch_norm": True, "init": "imagenet"}
    run = FrozenEmbedding.of(make_run(dataset=seen, backbone=backbone))
    weights = shared_data / "weights" / "mobilenet_v2_imagenet_torchvision_names.npz"
    embed_frozen(run, tmp_path, weights, tmp_path / "test.npy", threads=1)

    shown = torch.from_numpy(cells / 65535).permute(0, 3, 1, 2).float()
    shown = torch.nn.functional.interpolate(shown, size=(224, 224), mode="bilinear", antialias=True)
    shown = (shown - torch.tensor(seen["mean"])[:, None, None]) / torch.tensor(seen["std"])[:, None, None]
    with torch.no_grad():
        expected = models.build(run.backbone.to_dict(), weights).eval()(shown)
    found = np.load(tmp_path / "test.npy")
    assert found.shape == (4, 1280)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)
