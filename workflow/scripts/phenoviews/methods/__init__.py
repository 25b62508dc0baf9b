"""Self-supervised methods: a loss over pairs of views, with its heads, queue and momentum encoder.

A method joins by a class in a file of its own, derived from `Method`, and a line in `METHODS`; its settings by an entry
in config.yaml and what the schema says of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Set
from typing import Any

from phenoviews.errors import UserError
from phenoviews.methods.barlow import BarlowTwins
from phenoviews.methods.base import Method
from phenoviews.methods.byol import BYOL
from phenoviews.methods.deepcluster import DeepCluster
from phenoviews.methods.dino import DINO
from phenoviews.methods.moco import MoCo
from phenoviews.methods.nnbyol import NNBYOL
from phenoviews.methods.nnclr import NNCLR
from phenoviews.methods.ressl import ReSSL
from phenoviews.methods.simclr import SimCLR
from phenoviews.methods.simsiam import SimSiam
from phenoviews.methods.swav import SwAV
from phenoviews.methods.vibcreg import VIbCReg
from phenoviews.methods.vicreg import VICReg
from phenoviews.models.backbones import Backbone

METHODS: dict[str, Callable[..., Method]] = {
    "simclr": SimCLR,
    "moco": MoCo,
    "byol": BYOL,
    "vicreg": VICReg,
    "barlow": BarlowTwins,
    "simsiam": SimSiam,
    "nnclr": NNCLR,
    "nnbyol": NNBYOL,
    "ressl": ReSSL,
    "swav": SwAV,
    "dino": DINO,
    "deepcluster": DeepCluster,
    "vibcreg": VIbCReg,
}


def build(params: Mapping[str, Any], encoder: Backbone, sets: int, images: int) -> Method:
    """The method that a config entry describes, around a backbone.

    `params`: `kind` and every hyper-parameter, under the names of the class's constructor; `name` is ignored.
    `sets`: how many transforms' losses are summed; `images`: how many training images there are. The two are
    passed to the methods whose constructors have them. Random starts draw from torch's global generator.

    Raises `UserError` for an unknown kind and for missing or unknown hyper-parameters.
    """
    kind = params["kind"]
    if kind not in METHODS:
        raise UserError(f"method kind: {kind!r} is none of {', '.join(METHODS)}")
    given = {key: value for key, value in params.items() if key not in ("kind", "name")}
    known = {"sets": sets, "images": images}
    takes = inspect.signature(METHODS[kind]).parameters.keys() - {"encoder"}
    _check_names(params.get("name", kind), given.keys(), takes - known.keys())
    return METHODS[kind](encoder, **given, **{key: known[key] for key in takes & known.keys()})


def _check_names(name: str, given: Set[str], wanted: Set[str]) -> None:
    differences = {"missing": wanted - given, "unknown": given - wanted}
    said = "; ".join(f"{what}: {', '.join(sorted(keys))}" for what, keys in differences.items() if keys)
    if said:
        raise UserError(f"method {name}: hyper-parameters {said}; it has {', '.join(sorted(wanted))}")


__all__ = ["METHODS", "Method", "build"]
