"""Backbones: torchvision's VGG, ResNet, ConvNeXt-Tiny and MobileNetV2 without their classifiers."""

from phenoviews.models.backbones import KINDS, Backbone, build
from phenoviews.models.weights import imagenet_source, load_into, load_state

__all__ = ["KINDS", "Backbone", "build", "imagenet_source", "load_into", "load_state"]
