"""The backbones are torchvision's, in names, shapes and values."""

from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from phenoviews.errors import UserError
from phenoviews.models import BACKBONES, build

NETWORKS = [kind for kind in BACKBONES if kind not in ("intensity", "timm")]
NAMES = [*NETWORKS, *(f"{kind}_bn" for kind in NETWORKS if kind.startswith("vgg"))]


def backbone(name: str, **changes) -> dict:
    """A config entry for a torchvision model name."""
    kind = name.removesuffix("_bn")
    entry = {"kind": kind, "stem": "standard", "width": 1.0, "batch_norm": name != kind, "init": "random"}
    return entry | changes


def torchvision_model(name: str) -> nn.Module:
    with torch.device("meta"):  # names and shapes without the cost of the numbers
        return torchvision.models.get_model(name)


def classifier(name: str) -> tuple[str, ...]:
    """What is gone. ConvNeXt's classifier.0 is the LayerNorm of the features."""
    return ("classifier.2.",) if name.startswith("convnext") else ("classifier.", "fc.")


@pytest.mark.parametrize("name", NAMES)
def test_names_and_shapes_are_torchvisions_without_the_classifier(name):
    shapes = {k: v.shape for k, v in torchvision_model(name).state_dict().items()}
    expected = {k: v for k, v in shapes.items() if not k.startswith(classifier(name))}
    assert {k: v.shape for k, v in build(backbone(name)).state_dict().items()} == expected


@pytest.mark.parametrize("name", ["vgg11", "vgg11_bn", "resnet18", "resnet50", "convnext_tiny", "mobilenet_v2"])
def test_features_are_torchvisions(name):
    ours, theirs = build(backbone(name)), torchvision_model(name)
    if name.startswith("vgg"):
        theirs.avgpool = nn.AdaptiveAvgPool2d(1)  # theirs pools to 7 x 7, and only its classifier to a vector
        theirs.classifier = nn.Identity()
    elif name.startswith("convnext"):
        theirs.classifier[2] = nn.Identity()
    elif name.startswith("mobilenet"):
        theirs.classifier = nn.Identity()
    else:
        theirs.fc = nn.Identity()
    theirs.load_state_dict(ours.state_dict(), assign=True)  # strict: also a check of the names
    images = torch.randn(2, 3, 40, 40)
    for training in (False, True):  # theirs drops paths of ConvNeXt in training
        if training and name.startswith("convnext"):
            break
        ours.train(training), theirs.train(training)
        with torch.no_grad():
            features = ours(images)
            torch.testing.assert_close(features, theirs(images))
        assert features.shape == (2, ours.dim)


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_narrow_backbone_trains_on_small_images(kind):
    model = build(backbone(kind, stem="small", width=0.125, batch_norm=True))
    for size in (32, 37) if kind in ("vgg11", "resnet18", "convnext_tiny") else (32,):
        features = model(torch.randn(2, 3, size, size))
        assert features.shape == (2, model.dim)
        features.square().mean().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def convolutions(model: nn.Module) -> list[int]:
    return [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]


@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != "mobilenet_v2"])
def test_width_scales_the_channels_of_every_layer(kind):
    full, half = torchvision_model(kind), build(backbone(kind, width=0.5, batch_norm=True))
    assert convolutions(half) == [c // 2 for c in convolutions(full)]


def test_odd_widths_give_multiples_of_8():
    assert {c % 8 for c in convolutions(build(backbone("vgg11", width=0.3)))} == {0}
    assert min(convolutions(build(backbone("vgg11", width=0.01)))) == 8


def test_mobilenet_has_a_width_of_its_own():
    with torch.device("meta"):
        theirs = torchvision.models.mobilenet_v2(width_mult=0.5)
    assert convolutions(build(backbone("mobilenet_v2", width=0.5))) == convolutions(theirs)


def test_small_stem_of_resnet_keeps_the_resolution():
    model = build(backbone("resnet18", stem="small"))
    sizes = {}
    for name in ("conv1", "layer1", "layer4"):
        getattr(model, name).register_forward_hook(lambda m, i, o, name=name: sizes.update({name: o.shape[-1]}))
    model(torch.randn(2, 3, 32, 32))
    assert sizes == {"conv1": 34, "layer1": 34, "layer4": 5}  # 3 x 3, stride 1, padding 2; no max-pooling
    assert model.conv1.weight.shape == (64, 3, 3, 3)


def test_convnext_keeps_its_stride_4_stem_and_drops_no_paths():
    model = build(backbone("convnext_tiny", stem="small"))
    assert model.features[0][0].stride == (4, 4)
    assert {m.p for m in model.modules() if isinstance(m, torchvision.ops.StochasticDepth)} == {0.0}


@pytest.mark.parametrize("name", ["vgg11_bn", "resnet18"])
def test_the_random_start_has_torchvisions_spread(name):
    for ours in (m for m in build(backbone(name)).modules() if isinstance(m, nn.Conv2d)):
        fan_out = ours.out_channels * ours.kernel_size[0] * ours.kernel_size[1]
        assert ours.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.05)
        assert ours.bias is None or not ours.bias.any()


@pytest.mark.parametrize(("name", "norm"), [("resnet18", "bn2"), ("resnet50", "bn3")])
def test_a_residual_branch_that_starts_at_zero_leaves_its_block_the_identity(name, norm):
    """And changes nothing else of the start."""
    plain, zero = (
        [torch.manual_seed(3), build(backbone(name, width=0.25, zero_init_residual=wanted))][1]
        for wanted in (False, True)
    )
    changed = {key for key, value in zero.state_dict().items() if not torch.equal(value, plain.state_dict()[key])}
    assert changed == {key for key in zero.state_dict() if key.endswith(f".{norm}.weight")}
    images = zero.conv1(torch.randn(2, 3, 40, 40)).relu()
    block = zero.layer1[1]
    assert torch.equal(block(zero.layer1[0](images)), zero.layer1[0](images))


def test_the_seed_decides_the_random_start():
    first, second = ([torch.manual_seed(3), build(backbone("resnet18", width=0.25))][1] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "resnet20"}, "kind.*'resnet20'.*resnet18"),
        ({"stem": "tiny"}, "stem.*'tiny'.*small"),
        ({"width": 0}, "width.*0"),
        ({"init": "imagenet"}, "imagenet.*weights file"),
    ],
)
def test_what_cannot_be_built_is_refused(changes, said):
    with pytest.raises(UserError, match=said):
        build(backbone("resnet18") | changes)


# --- images of other than three channels ---


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("channels", [1, 2, 5, 12])
def test_channels_of_the_first_convolution(kind, channels):
    torch.manual_seed(0)
    model = build(backbone(kind, stem="small", width=0.25, batch_norm=True), channels=channels)
    rgb = build(backbone(kind, stem="small", width=0.25, batch_norm=True))
    features = model(torch.randn(2, channels, 32, 32))
    assert features.shape == (2, model.dim)
    assert model.dim == rgb.dim
    different = [k for k, v in model.state_dict().items() if v.shape != rgb.state_dict()[k].shape]
    assert len(different) == 1
    weights, usual = (one.state_dict()[different[0]] for one in (model, rgb))
    assert weights.shape[1] == channels
    assert weights.std().item() == pytest.approx(usual.std().item(), rel=0.35)  # the same law, of few numbers


def saved(tmp_path, kind: str) -> tuple[nn.Module, dict]:
    """A network of RGB, and the entry of one that starts from its weights."""
    torch.manual_seed(1)
    entry = backbone(kind, width=0.25, batch_norm=True)
    rgb = build(entry)
    torch.save(rgb.state_dict(), tmp_path / "rgb.pt")
    return rgb.eval(), {**entry, "init": str(tmp_path / "rgb.pt")}


@pytest.mark.parametrize("kind", ["vgg11", "resnet18", "resnet50", "convnext_tiny", "mobilenet_v2"])
@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_weights_of_rgb_fill_other_channels_by_their_mean(tmp_path, kind, channels):
    """An image whose channels are equal gives what its grey RGB image gives."""
    rgb, entry = saved(tmp_path, kind)
    model, grey = build(entry, channels=channels).eval(), torch.rand(3, 1, 48, 48)
    with torch.no_grad():
        found, expected = model(grey.expand(-1, channels, -1, -1)), rgb(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["vgg11", "resnet18", "convnext_tiny", "mobilenet_v2"])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_each_channel_goes_through_the_network_by_itself(tmp_path, kind, channels):
    rgb, entry = saved(tmp_path, kind)
    model, images = build({**entry, "channels": "each"}, channels=channels).eval(), torch.rand(2, channels, 48, 48)
    with torch.no_grad():
        alone = [rgb(one.expand(-1, 3, -1, -1)) for one in images.split(1, dim=1)]
        torch.testing.assert_close(model(images), torch.cat(alone, dim=1), rtol=1e-4, atol=1e-5)
    assert model.dim == channels * rgb.dim
    assert list(model.state_dict()) == list(rgb.state_dict())
    model.train()(images).square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_weights_of_as_many_channels_are_kept_as_they_are(tmp_path):
    entry = backbone("resnet18", width=0.25)
    five = build(entry, channels=5)
    torch.save(five.state_dict(), tmp_path / "five.pt")
    started = build({**entry, "init": str(tmp_path / "five.pt")}, channels=5)
    assert torch.equal(started.conv1.weight, five.conv1.weight)
    with pytest.raises(UserError, match=r"of another shape: conv1\.weight"):
        build({**entry, "init": str(tmp_path / "five.pt")}, channels=4)
