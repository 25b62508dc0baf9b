"""Build a backbone: images (n, C, H, W) → features (n, dim).

The layers are torchvision's own, and so are the names in `state_dict()`; only the classifier's last linear
layer (VGG: its three) is gone. Sources: No Free Lunch, D.1 and D.2; solo-learn for the stems; the recipes as
read in the specification, section 3.1 and ambiguity A-21.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import VGG, ConvNeXt, MobileNetV2, ResNet
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.vgg import cfgs, make_layers

from phenoviews.errors import UserError
from phenoviews.models import of_timm
from phenoviews.models.intensity import PER_CHANNEL, Intensity
from phenoviews.models.weights import load_into, load_state, stripped

STEMS = ("small", "standard")
RGB = 3  # channels that ImageNet's weights are for


class Backbone(nn.Sequential):
    """torchvision's layers in a row, under torchvision's names: images (n, C, H, W) → features (n, dim)."""

    def __init__(self, layers: Mapping[str, nn.Module], dim: int):
        super().__init__(OrderedDict(layers))
        self.dim = dim


class EachChannel(Backbone):
    """A backbone of RGB that sees each of `channels` channels by itself, as a grey image, and joins what it makes of
    them: images (n, C, H, W) → features (n, C · the backbone's dim). Weights and their names are the backbone's."""

    def __init__(self, backbone: Backbone, channels: int):
        super().__init__(dict(backbone.named_children()), channels * backbone.dim)

    def forward(self, images: Tensor) -> Tensor:
        n, channels, height, width = images.shape
        grey = images.reshape(n * channels, 1, height, width).expand(-1, RGB, -1, -1)
        found: Tensor = super().forward(grey)  # type: ignore[no-untyped-call]
        return found.reshape(n, self.dim)


def build(backbone: Mapping[str, Any], weights: Path | None = None, channels: int = RGB) -> Backbone:
    """The backbone that a config entry describes, for images of `channels` channels.

    `backbone`: kind; stem (`small`: the papers' form for 32 x 32 images, of ResNet only: first convolution
    3 x 3, stride 1, padding 2, no max-pooling; VGG has no stem, ConvNeXt and MobileNetV2 keep theirs); width
    (times the filters of every layer); batch_norm (VGG only); zero_init_residual (ResNet only; may be left out:
    whether every residual branch starts at zero, and so its block as the identity); init (`random`, `imagenet` or the
    path of a local file); prefix (may be left out: see `stripped`); channels (may be left out: `together`, all
    channels enter the first convolution, or `each`, see `EachChannel`). Of kind timm also model (timm's name), version
    (timm's) and size (pixels of the images), and neither stem, width nor batch_norm says anything. `weights`: the file
    to start from where init is not `random`; default: the path in init.

    Weights of RGB fill a first convolution of other channels with the mean of their three filters times 3 / channels,
    so that an image whose channels are equal gives what its grey RGB image gave. Of three channels they are kept as
    they are, red for the first.

    A random start draws from torch's global generator. Raises `UserError` for a kind or stem that does not
    exist and for weights that do not fit.
    """
    stem, width = backbone["stem"], backbone["width"]
    if backbone["kind"] not in BACKBONES:
        raise UserError(f"backbone kind: {backbone['kind']!r} is none of {', '.join(BACKBONES)}")
    if stem not in STEMS:
        raise UserError(f"backbone stem: {stem!r} is none of {', '.join(STEMS)}")
    if not width > 0:
        raise UserError(f"backbone width: {width!r} is not a positive number")
    each = backbone.get("channels", "together") == "each"
    model = BACKBONES[backbone["kind"]](backbone, RGB if each else channels)
    if backbone["init"] != "random":
        _start_from(model, backbone, weights)
    return EachChannel(model, channels) if each else model


def filters(full: int, width: float) -> int:
    """`width` times `full` filters in multiples of 8 (for tensor cores), at least 8; `full` at width 1."""
    return full if width == 1 else max(8, round(full * width / 8) * 8)


def _start_from(model: Backbone, backbone: Mapping[str, Any], weights: Path | None) -> None:
    if weights is None:
        if backbone["init"] == "imagenet":
            raise UserError("backbone init: imagenet needs its weights file, and none was given")
        weights = Path(backbone["init"])
    if backbone["init"] == "imagenet" and backbone["width"] != 1:
        raise UserError(f"backbone width: {backbone['width']} does not go with init: imagenet; set 1.0")
    if backbone["kind"] == "timm":
        _start_timm_from(model.get_submodule("timm"), backbone, weights)
        return
    state = stripped(model.state_dict(), load_state(weights), str(weights), backbone.get("prefix", ""))
    stems = [one["conv1.weight"].shape[-1] for one in (model.state_dict(), state) if "conv1.weight" in one]
    if stems == [3, 7]:
        raise UserError(f"{weights}: these weights are of the standard 7 x 7 stem; set the backbone's stem: standard")
    name, first = _first(model)
    load_into(model, _of_as_many_channels(state, f"{name}.weight", first.in_channels), str(weights))


def _start_timm_from(model: nn.Module, backbone: Mapping[str, Any], weights: Path) -> None:
    """`weights`: under the names of timm's own state dict, with or without its classifier."""
    own = model.state_dict()
    state = stripped(own, load_state(weights), str(weights), backbone.get("prefix", ""))
    for name in of_timm.first_convolutions(model):
        state = _of_as_many_channels(state, f"{name}.weight", own[f"{name}.weight"].shape[1])
    heads = tuple(f"{name}." for name in of_timm.classifiers(model))
    load_into(model, state, str(weights), heads=heads, advice=of_timm.advice(backbone["model"], backbone["size"]))


def _of_as_many_channels(state: dict[str, Tensor], name: str, channels: int) -> dict[str, Tensor]:
    """`state` with the first convolution, `name`, of as many channels, where it is one of RGB; see `build`."""
    if name not in state or state[name].ndim != 4 or state[name].shape[1] != RGB or channels == RGB:
        return state
    mean = state[name].mean(dim=1, keepdim=True) * (RGB / channels)
    return {**state, name: mean.repeat(1, channels, 1, 1)}


def _first(model: nn.Module) -> tuple[str, nn.Conv2d]:
    """The name of the first convolution, and it."""
    return next((name, layer) for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d))


def _take(model: nn.Module, channels: int) -> None:
    """Let the first convolution take so many channels. Its weights are then as torch makes them."""
    name, old = _first(model)
    if channels == old.in_channels:
        return
    new = nn.Conv2d(channels, old.out_channels, old.kernel_size, old.stride, old.padding, bias=old.bias is not None)  # type: ignore[arg-type]
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, new)


def _vgg(layers: str, backbone: Mapping[str, Any], channels: int) -> Backbone:
    """`layers`: torchvision's letter for them."""
    sizes = [v if v == "M" else filters(v, backbone["width"]) for v in cfgs[layers]]
    # The classifier is not wanted, and has 120 million parameters: on the meta device it costs nothing.
    with torch.device("meta"):
        model = VGG(nn.Sequential(), init_weights=False)
    model.features = make_layers(sizes, batch_norm=backbone["batch_norm"])
    model.avgpool = nn.AdaptiveAvgPool2d(1)
    model.classifier = nn.Flatten()
    _take(model, channels)
    _initialise(model)
    return Backbone(dict(model.named_children()), sizes[-2])


def _resnet(
    block: type[BasicBlock | Bottleneck], depths: list[int], backbone: Mapping[str, Any], channels: int
) -> Backbone:
    width = backbone["width"]
    # torchvision's constructor fixes the channels: keep its frame, make the layers again by its own method.
    with torch.device("meta"):
        model = ResNet(block, depths)
    model.inplanes = filters(64, width)
    if backbone["stem"] == "small":
        model.conv1 = nn.Conv2d(channels, model.inplanes, kernel_size=3, stride=1, padding=2, bias=False)
        model.maxpool = nn.Identity()
    else:
        model.conv1 = nn.Conv2d(channels, model.inplanes, kernel_size=7, stride=2, padding=3, bias=False)
    model.bn1 = nn.BatchNorm2d(model.inplanes)
    model.layer1 = model._make_layer(block, filters(64, width), depths[0])
    model.layer2 = model._make_layer(block, filters(128, width), depths[1], stride=2)
    model.layer3 = model._make_layer(block, filters(256, width), depths[2], stride=2)
    model.layer4 = model._make_layer(block, filters(512, width), depths[3], stride=2)
    model.fc = nn.Flatten()
    _initialise(model)
    if backbone.get("zero_init_residual", False):
        for module in model.modules():
            if isinstance(module, block):
                nn.init.zeros_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight)
    return Backbone(dict(model.named_children()), model.inplanes)


def _convnext_tiny(backbone: Mapping[str, Any], channels: int) -> Backbone:
    sizes = [filters(c, backbone["width"]) for c in (96, 192, 384, 768)]
    stages = [
        CNBlockConfig(size, following, depth)
        for size, following, depth in zip(sizes, [*sizes[1:], None], [3, 3, 9, 3], strict=True)
    ]
    model = ConvNeXt(stages, stochastic_depth_prob=0.0)
    if channels != RGB:
        _take(model, channels)
        first = _first(model)[1]
        nn.init.trunc_normal_(first.weight, std=0.02)  # as torchvision's does
        assert first.bias is not None
        nn.init.zeros_(first.bias)
    # Its last LayerNorm, classifier.0, belongs to the features, as in timm's and the authors' ConvNeXt.
    model.classifier = model.classifier[:2]
    return Backbone(dict(model.named_children()), sizes[-1])


def _mobilenet_v2(backbone: Mapping[str, Any], channels: int) -> Backbone:
    # Its last convolution keeps 1280 channels below width 1, by the paper's and torchvision's rule.
    model = MobileNetV2(width_mult=backbone["width"])
    if channels != RGB:
        _take(model, channels)
        nn.init.kaiming_normal_(_first(model)[1].weight, mode="fan_out")  # as torchvision's does
    # torchvision's `forward` does the pooling itself.
    layers = {"features": model.features, "avgpool": nn.AdaptiveAvgPool2d(1), "classifier": nn.Flatten()}
    return Backbone(layers, model.last_channel)


def _intensity(backbone: Mapping[str, Any], channels: int) -> Backbone:
    """No network: nothing of the entry has a part in it."""
    return Backbone({"statistics": Intensity()}, channels * PER_CHANNEL)


def _timm(backbone: Mapping[str, Any], channels: int) -> Backbone:
    model = of_timm.create(backbone["model"], backbone["version"], backbone["size"], channels)
    return Backbone({"timm": model}, of_timm.dim(model))


def _initialise(model: nn.Module) -> None:
    """torchvision's random start of VGG and ResNet (normalisation layers start at 1 and 0 by themselves)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


# In a config's words. Each builds the backbone that an entry describes, for a number of channels, with random weights.
BACKBONES: dict[str, Callable[[Mapping[str, Any], int], Backbone]] = {
    "vgg11": partial(_vgg, "A"),
    "vgg13": partial(_vgg, "B"),
    "vgg16": partial(_vgg, "D"),
    "vgg19": partial(_vgg, "E"),
    "resnet18": partial(_resnet, BasicBlock, [2, 2, 2, 2]),
    "resnet34": partial(_resnet, BasicBlock, [3, 4, 6, 3]),
    "resnet50": partial(_resnet, Bottleneck, [3, 4, 6, 3]),
    "resnet101": partial(_resnet, Bottleneck, [3, 4, 23, 3]),
    "resnet152": partial(_resnet, Bottleneck, [3, 8, 36, 3]),
    "convnext_tiny": _convnext_tiny,
    "mobilenet_v2": _mobilenet_v2,
    "intensity": _intensity,
    "timm": _timm,
}
