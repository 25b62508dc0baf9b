"""The measures of an encoder, by the registry that their rule takes them from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from phenoviews import methods, models
from phenoviews.data import Images
from phenoviews.measures.knn import knn
from phenoviews.study.metrics import METRICS, measured
from phenoviews.study.resolved import Embedding, FrozenEmbedding
from phenoviews.training.embed import embed, embed_frozen, loader
from phenoviews.training.encoded import ENCODED, subject
from phenoviews.training.probe import probe
from phenoviews.values import checked, dimensions

KNN = {"k": 20, "temperature": 0.07}
VIEWS = [{"random_horizontal_flip": {"p": 0.5}}, {"random_invert": {"p": 0.5}}, {"normalize": {}}]
SETTINGS = {"knn": KNN, "alignment": {"sets": [{"weight": 1.0, "views": [VIEWS, VIEWS]}]}}


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


@pytest.mark.parametrize("name", [*ENCODED, "probe"])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_measure_has_the_metrics_and_dimensions_that_the_study_tells_whoever_trained_the_encoder(
    name: str, frozen: bool, make_run: Callable, digits: Path, trained: dict, tmp_path: Path
):
    whole = make_run(probe={"epochs": 3, "milestones": []})
    run = (FrozenEmbedding if frozen else Embedding).of(whole)
    out, networks = tmp_path / "embeddings.npy", {"weights": None} if frozen else trained
    (embed_frozen if frozen else embed)(run, digits, **networks, out=out, threads=1)
    files = {"weights": []} if frozen else trained

    def measure() -> pd.DataFrame:
        with subject(*loader(run.to_dict(), files), whole.seed, digits, np.load(out), threads=1) as measured:
            return probe(measured, whole.probe)[0] if name == "probe" else ENCODED[name](measured, SETTINGS[name])

    values = measure()
    assert checked(values).equals(values)
    assert set(values["metric"]) == set(measured(name))
    for metric, of in values.groupby("metric"):
        there = {key for key in dimensions(of) if (of[key].notna() & (of[key] != "")).all()}
        told = set(METRICS[metric].dimensions)
        # What cannot be had has no place in the dimensions of its own: digits have no superclasses.
        assert there == told if of["value"].notna().any() else there <= told
    assert values.equals(measure())


@pytest.mark.parametrize("evaluate", ["encoder", "projector"])
def test_knn_is_of_the_output_that_is_evaluated(
    evaluate: str, make_run: Callable, digits: Path, trained: dict, tmp_path: Path
):
    embeddings = {}
    for split in ("train", "test"):
        run = Embedding.of(make_run(evaluate=evaluate, dataset={"evaluated": split}))
        embed(run, digits, **trained, out=tmp_path / "embeddings.npy", threads=1)
        embeddings[split] = np.load(tmp_path / "embeddings.npy")
    with subject(*loader(run.to_dict(), trained), 5, digits, embeddings["test"], threads=1) as measured_there:
        found = ENCODED["knn"](measured_there, KNN)
    images = Images.open(digits)
    expected = knn(embeddings["test"], images.labels("test"), [embeddings["train"]], images.labels("train"))
    assert found.equals(expected)
    assert found["value"].item() > 30
