"""Models of timm are timm's own, in names, values and features; what does not fit is refused in one line."""

from __future__ import annotations

from importlib.metadata import version

import pytest
import timm
import torch
from safetensors.torch import save_file

from phenoviews.errors import UserError
from phenoviews.models import build, load_into
from phenoviews.models.look import look

VERSION = version("timm")


def backbone(model: str, size: int = 160, **changes) -> dict:
    """A config entry as it is resolved."""
    entry = {"kind": "timm", "model": model, "version": VERSION, "size": size, "init": "random"}
    return {**entry, "stem": "standard", "width": 1.0, "batch_norm": True, **changes}


def weights(tmp_path, model: str, prefix: str = "", **more):
    """A file as timm's users save it, classifier and all."""
    torch.manual_seed(1)
    state = timm.create_model(model, **more).state_dict()
    file = tmp_path / f"{model}.safetensors"
    save_file({prefix + name: value for name, value in state.items()}, file)
    return file


@torch.no_grad()
def features(model: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    return model.eval()(images)


# A ViT, which is for one size; a network whose head has a layer of its own; a plain one.
@pytest.mark.parametrize("name", ["test_vit", "mobilenetv3_small_050", "test_convnext"])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_features_are_timms_own(name, channels):
    torch.manual_seed(3)
    ours = build(backbone(name), channels=channels)
    torch.manual_seed(3)
    theirs = timm.create_model(name, num_classes=0, in_chans=channels)
    images = torch.randn(2, channels, 160, 160)
    found = features(ours, images)
    assert torch.equal(found, features(theirs, images))
    assert found.shape == (2, ours.dim)
    assert [f"timm.{key}" for key in theirs.state_dict()] == [*ours.state_dict()]


@pytest.mark.parametrize("name", ["test_vit", "mobilenetv3_small_050", "test_convnext"])
def test_features_of_a_file_are_timms_own(name, tmp_path):
    file = weights(tmp_path, name)
    torch.manual_seed(1)
    theirs = timm.create_model(name)
    theirs.reset_classifier(0)
    images = torch.randn(2, 3, 160, 160)
    assert torch.equal(features(build(backbone(name, init=str(file))), images), features(theirs, images))


@pytest.mark.parametrize("prefix", ["", "module.encoder."])
@pytest.mark.parametrize("channels", [1, 5])
def test_an_image_of_equal_channels_is_its_grey_rgb_image(prefix, channels, tmp_path):
    file = weights(tmp_path, "test_convnext", prefix)
    grey = torch.randn(2, 1, 64, 64)
    rgb = features(build(backbone("test_convnext", 64, init=str(file))), grey.expand(-1, 3, -1, -1))
    ours = build(backbone("test_convnext", 64, init=str(file)), channels=channels)
    torch.testing.assert_close(features(ours, grey.expand(-1, channels, -1, -1)), rgb)


def test_each_channel_by_itself(tmp_path):
    file = weights(tmp_path, "test_convnext")
    entry = backbone("test_convnext", 64, init=str(file))
    images = torch.randn(2, 5, 64, 64)
    each = build({**entry, "channels": "each"}, channels=5)
    found = features(each, images)
    assert found.shape == (2, each.dim)
    third = features(build(entry), images[:, 2:3].expand(-1, 3, -1, -1))
    torch.testing.assert_close(found.reshape(2, 5, -1)[:, 2], third)


def test_it_trains_and_what_was_trained_is_loaded_again(tmp_path):
    """Under the names that a run's encoder.pt has, as a run (`load_into`) and as another's file (`init`)."""
    entry = backbone("test_vit", 48)
    ours = build(entry, channels=2)
    ours(torch.randn(2, 2, 48, 48)).square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in ours.parameters())
    torch.save(ours.state_dict(), tmp_path / "encoder.pt")
    again = build(entry, channels=2)
    load_into(again, ours.state_dict(), "encoder.pt")
    images = torch.randn(1, 2, 48, 48)
    assert torch.equal(features(again, images), features(ours, images))
    brought = build({**entry, "init": str(tmp_path / "encoder.pt")}, channels=2)
    assert torch.equal(features(brought, images), features(ours, images))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "test_vitt"}, r"timm .* has no 'test_vitt'; did you mean test_vit"),
        ({"model": "hf-hub:timm/resnet18.a1_in1k"}, r"has no 'hf-hub:timm/resnet18.a1_in1k'; timm.list_models\(\)"),
        ({"version": "0.1"}, rf"planned with timm 0.1, and here is {VERSION}; install one version for both"),
    ],
)
def test_what_is_not_there_is_refused(change, said):
    with pytest.raises(UserError, match=said):
        build({**backbone("test_vit"), **change})


def test_weights_of_another_model_are_refused(tmp_path):
    file = weights(tmp_path, "test_convnext")
    with pytest.raises(UserError, match=r"do not fit the backbone; missing: .*; unexpected: .*; check model"):
        build(backbone("test_vit", init=str(file)))


def test_weights_for_images_of_another_size_are_refused_with_the_size(tmp_path):
    file = weights(tmp_path, "test_vit")
    with pytest.raises(UserError, match=r"of another shape: pos_embed .* is for images of 160 pixels: set `size: 160`"):
        build(backbone("test_vit", 64, init=str(file)))


def test_a_look_tells_what_a_model_costs_and_what_it_does_not_take(tmp_path):
    """ResNet18 at 224 pixels: 1.8e9 multiply-adds and 11.2 million parameters, as its table in He et al. (2016) has."""
    found = look(backbone("resnet18", 224), 3, None)
    assert found["gmacs"] * (224 / 32) ** 2 == pytest.approx(1.8, rel=0.02)
    assert (found["millions"], found["dim"]) == (pytest.approx(11.18, abs=0.01), 512)
    with pytest.raises(UserError, match=r"test_vit does not take images of 50 pixels .* `size` to 160, which timm"):
        look(backbone("test_vit", 50), 3, None)
    with pytest.raises(UserError, match="do not fit the backbone"):
        look(backbone("test_vit", init="theirs"), 3, str(weights(tmp_path, "test_convnext")))
