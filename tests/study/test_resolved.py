from __future__ import annotations

import copy

import pytest
import yaml

from phenoviews.errors import UserError
from phenoviews.study import Run, Study
from phenoviews.study.code import reached
from phenoviews.study.document import shipped
from phenoviews.study.resolved import Embedding, FrozenEmbedding, Pretraining, Resolved, Training

TRAINED = Run("mnist", "mnist_first", "moco", "vgg11", 5)
FROZEN = Run("cells_nocodazole+split_seed=5", "plain", "imagenet", "vgg16", 5)


@pytest.fixture(scope="module")
def study() -> Study:
    return Study({**shipped(), "scale": "paper"})


@pytest.fixture
def plain(study: Study) -> dict:
    return study.resolve(TRAINED).to_dict()


@pytest.mark.parametrize("run", [TRAINED, FROZEN])
def test_a_run_goes_through_plain_data_and_comes_back(study: Study, run: Run):
    typed = study.resolve(run)
    plain = typed.to_dict()
    assert Resolved.from_dict(plain) == typed
    assert list(Resolved.from_dict(plain).to_dict()) == list(plain)
    assert Resolved.from_dict(yaml.safe_load(yaml.safe_dump(plain))) == typed


def test_settings_are_attributes(plain: dict):
    run = Resolved.from_dict(plain)
    assert run.training.lr == 1e-3
    assert run.method.kind == "moco"
    assert run.method.parameters["temperature"] == 0.07
    assert run.transform.sets[0].weight == 1.0
    assert "normalize" in run.transform.sets[0].views[1][-1]
    with pytest.raises(AttributeError):
        run.training.lr = 1.0


@pytest.mark.parametrize(
    ("stage", "sections"),
    [
        (Pretraining, ["name", "scale", "dataset", "transform", "method", "training", "backbone", "seed"]),
        (Embedding, ["name", "dataset", "transform", "method", "backbone", "evaluate"]),
        (FrozenEmbedding, ["name", "dataset", "backbone", "seed"]),
    ],
)
def test_a_stage_is_given_what_it_uses(plain: dict, stage: type, sections: list[str]):
    given = stage.of(Resolved.from_dict(plain))
    assert given.to_dict() == {key: plain[key] for key in sections}
    assert list(given.to_dict()) == sections
    assert stage.from_dict(given.to_dict()) == given


def test_a_training_depends_on_the_evaluated_output_only_where_it_keeps_the_best_epoch(plain: dict):
    def given(keep: str, evaluate: str) -> dict:
        training = {**plain["training"], "keep": keep}
        return Pretraining.of(Resolved.from_dict({**plain, "training": training, "evaluate": evaluate})).to_dict()

    assert given("last", "encoder") == given("last", "projector")
    assert given("best_ami", "encoder")["evaluate"] == "encoder"
    assert given("best_ami", "projector")["evaluate"] == "projector"


def test_an_encoder_that_is_not_trained_has_no_training(study: Study):
    frozen = study.resolve(FROZEN)
    assert frozen.training is None
    assert "training" not in frozen.to_dict()
    with pytest.raises(UserError, match=r"split_seed=5/plain/imagenet/vgg16/seed5.*imagenet, trains nothing"):
        Pretraining.of(frozen)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda run: run.pop("backbone"), "^resolved of a run: missing: backbone"),
        (lambda run: run.update(backbones={}), "^resolved of a run: unknown: backbones; it has name, scale, dataset"),
        (lambda run: run["training"].pop("lr"), "^training of a run: missing: lr; it has epochs"),
        (lambda run: run["training"].update(learning_rate=1), "^training of a run: unknown: learning_rate"),
        (lambda run: run["method"].pop("kind"), "^method of a run: missing: kind"),
        (lambda run: run["transform"]["sets"][0].pop("views"), "^transformset of a run: missing: views"),
        (lambda run: run["probe"].update(a=1, b=2), "^probe of a run: unknown: a, b"),
    ],
)
def test_a_key_that_is_missing_or_unknown_is_refused(plain: dict, change, said: str):
    run = copy.deepcopy(plain)
    change(run)
    with pytest.raises(UserError, match=said):
        Resolved.from_dict(run)


def test_what_decides_the_weights_has_no_names(plain: dict):
    decisive = Pretraining.of(Resolved.from_dict(plain)).decisive()
    assert decisive["dataset"] == {key: plain["dataset"][key] for key in ("size", "mean", "std")}
    assert decisive["transform"] == {"sets": plain["transform"]["sets"]}
    assert decisive["method"] == {key: value for key, value in plain["method"].items() if key != "name"}
    assert decisive["backbone"] == {key: value for key, value in plain["backbone"].items() if key != "name"}
    # Nor what only some optimizers know, where it is as ever.
    others = {"checkpoint_minutes", "watch_epochs", "min_spread", "lars_clip"}
    assert decisive["training"].keys() == Training.__dataclass_fields__.keys() - others
    changed = {**plain, "training": {**plain["training"], "lars_clip": False}}
    assert Pretraining.of(Resolved.from_dict(changed)).decisive()["training"]["lars_clip"] is False
    assert decisive["seed"] == 5


def test_a_stages_code_knows_no_section_that_it_is_not_given():
    """So that a section may join without any training being done again."""
    module = "phenoviews.study.resolved"
    assert "Training" in reached("pretrain.py")[module]
    assert not reached("pretrain.py")[module] & {"Probe", "Probing", "Embedding", "Resolved"}
    assert not reached("embed_frozen.py")[module] & {"Training", "Method", "Probe"}
