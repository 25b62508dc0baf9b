"""A run: one training, by the names that its path has."""

from __future__ import annotations

from dataclasses import dataclass

# What a run is made of beside its seed → the section of config.yaml that the names are from.
AXES = {"dataset": "datasets", "transform": "transforms", "method": "methods", "backbone": "backbones"}


@dataclass(frozen=True, order=True)
class Run:
    """dataset × transform × method × backbone × seed: one training. Its path is its name."""

    dataset: str
    transform: str
    method: str
    backbone: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.dataset}/{self.transform}/{self.method}/{self.backbone}/seed{self.seed}"
