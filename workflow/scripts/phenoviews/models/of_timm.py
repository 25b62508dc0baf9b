"""Models of timm (PyTorch Image Models), as timm names and builds them, with pooled features in place of a classifier.

timm is imported where one of its models is built, and by nobody else. It downloads nothing: weights are local files.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from phenoviews.errors import UserError
from phenoviews.study.schema import nearest


def create(name: str, version: str, size: int, channels: int) -> nn.Module:
    """timm's model `name` for images of `size` pixels and `channels` channels, random weights drawn by timm's own rule
    from torch's global generator: what `timm.create_model(name, num_classes=0)` gives.

    A model that is made for images of one size (a ViT's table of positions) is made for these.

    Raises `UserError` where timm is not there, is another than `version`, or has no such model, and for images that
    the model cannot be made for.
    """
    timm = _timm()
    if timm.__version__ != version:
        raise UserError(
            f"backbone kind timm: the study was planned with timm {version}, and here is {timm.__version__}; "
            f"install one version for both, such as by: pip install timm=={version}"
        )
    if not timm.is_model(name):
        close = nearest(name, timm.list_models())
        close = close if "did you mean" in close else "; timm.list_models() has their names"  # there are a thousand
        raise UserError(f"backbone model: timm {version} has no '{name}'{close}")
    sized = {"img_size": size} if _only(name) not in (0, size) else {}
    try:
        model: nn.Module = timm.create_model(name, pretrained=False, num_classes=0, in_chans=channels, **sized)
    except Exception as error:  # a hundred families of models, each with errors of its own
        raise cannot(name, size, channels, error) from error
    return model


def dim(model: nn.Module) -> int:
    """The length of a model's pooled features."""
    found: Any = getattr(model, "head_hidden_size", None) or model.num_features
    return int(found)


def first_convolutions(model: nn.Module) -> list[str]:
    """The names of the layers that see the images, of those that are convolutions with weights of their own."""
    return [name for name in _names(model, "first_conv") if f"{name}.weight" in model.state_dict()]


def classifiers(model: nn.Module) -> list[str]:
    """The names of the layers that the model has not because it has no classes."""
    return _names(model, "classifier")


def advice(name: str, size: int) -> str:
    """What to look at where weights do not fit the model that was made for images of `size` pixels."""
    native = _only(name)
    told = f"; timm's {name} is for images of {native} pixels: set `size: {native}`" if native not in (0, size) else ""
    return f"check model{' and the size of the images' if native else ''}{told}"


def cannot(name: str, size: int, channels: int, error: Exception) -> UserError:
    """The error of a model that does not take such images."""
    said = " ".join(str(error).split())[:200]
    side = _timm().models.get_pretrained_cfg(name).input_size[-1]
    cures = [f"set the data set's `size` to {side}, which timm made it for"] * (size != side)
    cures += ["set the backbone's `channels: each`"] * (channels != 3)
    return UserError(
        f"backbone model: timm's {name} does not take images of {size} pixels and {channels} channels "
        f"({type(error).__name__}: {said}); {', or '.join([*cures, 'take another model'])}"
    )


def _only(name: str) -> int:
    """The side in pixels of the only images that a model takes as timm names it; 0 of one that takes any."""
    found = _timm().models.get_pretrained_cfg(name)
    return int(found.input_size[-1]) if found.fixed_input_size else 0


def _names(model: nn.Module, key: str) -> list[str]:
    config: Any = model.pretrained_cfg
    found = config.get(key) or ()
    return [found] if isinstance(found, str) else list(found)


def _timm() -> Any:
    try:
        import timm
    except ImportError:
        raise UserError("backbone kind timm: needs the package timm, which is not here; pip install timm") from None
    return timm
