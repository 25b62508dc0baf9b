"""Backbones without their classifiers: torchvision's VGG, ResNet, ConvNeXt-Tiny and MobileNetV2, and timm's models."""

from phenoviews.models.backbones import BACKBONES, Backbone, build
from phenoviews.models.weights import imagenet_source, load_into, load_state

__all__ = ["BACKBONES", "Backbone", "build", "imagenet_source", "load_into", "load_state"]
