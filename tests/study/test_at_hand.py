"""Models of timm, as the plan sees them: what timm refuses is refused before anything runs; asked once."""

from __future__ import annotations

import sys
from importlib.metadata import version

import pytest
import timm
from safetensors.torch import save_file

from phenoviews.costs import sizes
from phenoviews.costs.paces import Costs, Kind
from phenoviews.errors import UserError
from phenoviews.study import Run, Study, at_hand, chosen
from phenoviews.study.document import merge, shipped
from phenoviews.study.plan import forward_flop, gmacs_of

TINY = {"kind": "timm", "model": "test_convnext"}


def study(**backbones) -> Study:
    return Study(merge(shipped(), {"scale": "paper", "backbones": backbones}))


def run(of: Study, backbone: str, method: str = "given", dataset: str = "cifar10") -> Run:
    return of.on_disk(of.spelled(Run(dataset, "plain" if method == "given" else "cifar", method, backbone, 5)))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "timm"}, "kind timm needs `model`"),
        ({"kind": "resnet18", "model": "resnet18"}, "`model` is timm's name of one of its models; set `kind: timm`"),
        ({**TINY, "width": 0.5}, "`width` says nothing to a model of timm"),
        ({**TINY, "stem": "small"}, "`stem` says nothing to a model of timm"),
        ({**TINY, "gmacs": 3.0}, "`gmacs` says nothing to a model of timm"),
        ({**TINY, "init": "imagenet"}, "timm's weights are not downloaded; name a local file of them as `init`"),
    ],
)
def test_keys_that_say_nothing_are_refused(entry, said):
    of = study(theirs=entry)
    with pytest.raises(UserError, match=f"backbone 'theirs': .*{said}"):
        of.resolve(run(of, "theirs", "simclr"))


def test_imagenets_weights_by_the_method_are_refused():
    of = study(theirs=TINY)
    with pytest.raises(UserError, match="backbone 'theirs': timm's weights are not downloaded"):
        of.resolve(run(of, "theirs", "imagenet"))


def test_what_decides_it_is_its_name_timms_version_and_the_size_of_the_images():
    of = study(theirs=TINY)
    found = of.pretraining(run(of, "theirs", "simclr"))
    assert found.decisive()["backbone"] == {
        **{"kind": "timm", "model": "test_convnext", "version": version("timm"), "size": 32, "init": "random"},
        **{"stem": "standard", "width": 1.0, "batch_norm": True},
    }
    assert chosen.trained_with(of, run(of, "theirs", "simclr"))[chosen.BACKBONES] == ["timm"]
    other = of.pretraining(run(of, "theirs+model=test_vit", "simclr"))
    assert other.decisive() != found.decisive()
    assert Kind.of(other) != Kind.of(found)


def test_other_backbones_are_told_nothing_new():
    of = study()
    assert {"model", "version", "size"}.isdisjoint(of.resolve(run(of, "resnet18", "simclr")).backbone.to_dict())


@pytest.fixture
def file(tmp_path):
    save_file(timm.create_model("test_convnext").state_dict(), tmp_path / "theirs.safetensors")
    return tmp_path / "theirs.safetensors"


def test_a_model_is_looked_at_when_planned_and_once(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".snakemake").mkdir()
    of = study(
        theirs={**TINY, "init": str(file)},
        misspelt={**TINY, "model": "test_convnxt"},
        another={"kind": "timm", "model": "test_vit", "init": str(file)},
    )
    good, misspelt, another = (run(of, name) for name in ("theirs", "misspelt", "another"))
    trained = run(of, "theirs", "simclr")
    with pytest.raises(UserError, match=r"config: backbone 'misspelt': .* has no 'test_convnxt'; did you mean test_"):
        at_hand.check(of, [good, misspelt, another])
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/no/python")  # what was found is not asked again
        at_hand.check(of, [good])
        at_hand.facts.cache_clear()
        resolved = of.resolve(trained).backbone
        # 0.27 million parameters, as timm's table of its models has
        assert sizes.run_mb(of, trained, of.pretraining(trained)) > 4 * at_hand.facts(resolved, 3).millions
        assert at_hand.facts(resolved, 3).dim == timm.create_model("test_convnext").num_features
        flop = forward_flop(resolved, 32, gmacs_of(of, trained))
        assert Costs(of.config).flop(of.pretraining(trained)) == pytest.approx(6 * flop)
    with pytest.raises(UserError, match=r"config: backbone 'another': .* do not fit the backbone"):
        at_hand.check(of, [good, another])
    file.write_bytes(b"not the same")
    with pytest.raises(UserError, match=r"config: backbone 'theirs': .*theirs.safetensors: not a readable state dict"):
        at_hand.check(of, [good])


def test_without_timm_where_snakemake_runs(monkeypatch):
    from phenoviews.study import resources

    monkeypatch.setattr(sys, "path", [])
    resources.timm_version.cache_clear()
    of = study(theirs=TINY)
    try:
        with pytest.raises(UserError, match="needs the package timm also where Snakemake runs; pip install timm"):
            of.resolve(run(of, "theirs", "simclr"))
    finally:
        resources.timm_version.cache_clear()
