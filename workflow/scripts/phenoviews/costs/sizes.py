"""How large things are, for planning disk and downloads: facts of torchvision's networks and of the data sets."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from phenoviews.study import at_hand, listing, paths, plan
from phenoviews.study.resolve import TIMM, Resolver
from phenoviews.study.resolved import Pretraining
from phenoviews.study.run import Run

# Of each kind of backbone without its classifier: millions of parameters, and the length of its features.
BACKBONES: dict[str, tuple[float, int]] = {
    "vgg11": (9.23, 512),
    "vgg13": (9.41, 512),
    "vgg16": (14.72, 512),
    "vgg19": (20.04, 512),
    "resnet18": (11.18, 512),
    "resnet34": (21.28, 512),
    "resnet50": (23.51, 2048),
    "resnet101": (42.50, 2048),
    "resnet152": (58.14, 2048),
    "convnext_tiny": (27.82, 768),
    "mobilenet_v2": (2.22, 1280),
    "intensity": (0.0, 33),
}
# MB of the files of torchvision's ImageNet weights, with their classifiers.
WEIGHTS_MB = {
    "alexnet": 233,
    "vgg11": 507,
    "vgg11_bn": 507,
    "vgg13": 508,
    "vgg13_bn": 508,
    "vgg16": 528,
    "vgg16_bn": 528,
    "vgg19": 548,
    "vgg19_bn": 548,
    "resnet18": 45,
    "resnet34": 83,
    "resnet50": 98,
    "resnet101": 171,
    "resnet152": 230,
    "convnext_tiny": 109,
    "mobilenet_v2": 14,
}
# MB of the files that data sets and screens are downloaded in; of BBBC021's archives about so many each.
FILES_MB = {
    "train-images-idx3-ubyte.gz": 9.9,
    "train-labels-idx1-ubyte.gz": 0.03,
    "t10k-images-idx3-ubyte.gz": 1.6,
    "t10k-labels-idx1-ubyte.gz": 0.005,
    "cifar-10-python.tar.gz": 170.5,
    "cifar-100-python.tar.gz": 169.0,
    "BBBC021_v1_image.csv": 5.9,
    "BBBC021_v1_moa.csv": 0.005,
}
ARCHIVES_MB = {"BBBC021_v1_images_{plate}.zip": 750}
# Images that are evaluated, of the data sets whose test split is given; and the side in pixels that they have on disk.
TEST = {"mnist": 10000, "cifar": 10000, "imagenet": 5000}
SIDE = {"mnist": 28, "cifar": 32, "digits": 8}


def evaluated_images(study: Resolver, dataset: str) -> int:
    """About how many images of a dataset are embedded and measured."""
    entry, training = study.entry("datasets", dataset), plan.images(study, dataset)
    if entry["kind"] in TEST:
        return TEST[entry["kind"]]
    if entry["kind"] == "photographs":
        return int(training * entry["test_per_class"] / entry["train_per_class"])
    if study.evaluated(dataset) == "all":
        return int(training / entry.get("fraction", 1))
    held, val = entry.get("test_fraction", 0), entry.get("val_fraction", 0)
    if held + val >= 1:  # nothing is trained on, all of it is measured
        made = listing.rows(Path(paths.IMAGES.format(dataset=dataset)))
        return made if made is not None else plan.UNKNOWN
    return int(training * held / (1 - held - val))


def array_mb(study: Resolver, dataset: str) -> float:
    """About how many MB a dataset's array of images takes; where it is there, as many as it does take."""
    file = Path(paths.IMAGES.format(dataset=dataset))
    if file.exists():
        return file.stat().st_size / 1e6
    entry = study.entry("datasets", dataset)
    # Raw crops have two bytes a pixel, all others one.
    deep = 2 if entry.get("intensity") == "raw" else 1
    side = entry.get("side", SIDE.get(entry["kind"], entry.get("patch", entry["size"])))
    count = plan.images(study, dataset) + evaluated_images(study, dataset)
    return float(count * side**2 * study.channels(dataset) * deep / 1e6)


def run_mb(study: Resolver, run: Run, pretraining: Pretraining | None) -> float:
    """About how many MB the folder of a run takes: weights of the encoder and of its heads, at the end and on the way,
    and embeddings. `pretraining`: of a run that is trained."""
    resolved = study.resolve(run)
    if resolved.backbone.kind == TIMM:
        timms = at_hand.facts(resolved.backbone, resolved.dataset.channels)
        millions, dim = timms.millions, timms.dim
    else:
        millions, dim = BACKBONES[resolved.backbone.kind]
    dim = math.ceil(dim * resolved.backbone.width)
    found = evaluated_images(study, run.dataset) * dim * 4 / 1e6
    if pretraining is None:
        return found
    weights = 4 * (millions * resolved.backbone.width**2 + head_millions(pretraining, dim))
    training = pretraining.training
    kept = training.epochs // training.snapshot_epochs if training.snapshot_epochs else 0
    return found + weights * (1 + kept)


def head_millions(run: Pretraining, dim: int) -> float:
    """Millions of parameters of a method's projector, from features of length `dim`."""
    head = run.method.parameters.get("projector") or {}
    widths: list[int] = [
        dim,
        *(dim if one == "encoder" else one for one in head.get("hidden", [])),
        head.get("out", dim),
    ]
    return sum(first * last for first, last in itertools.pairwise(widths)) / 1e6


def downloads(study: Resolver, datasets: list[str], weights: list[str]) -> Iterator[tuple[str, str, float | None]]:
    """What is downloaded for datasets, and for the weights of torchvision's networks, and is not there yet: (whose file
    it is, its name, MB or None where nothing tells)."""
    wanted: dict[str, tuple[str, str, float | None]] = {}
    for name in datasets:
        entry = study.entry("datasets", name)
        screen = entry.get("screen")
        source: dict[str, Any] = study.entry("screens", screen) if screen else entry
        if "mirrors" not in source or "simulation" in source:
            continue
        owner = screen or name
        files = [(file["name"], FILES_MB.get(file["name"])) for file in source.get("files", {}).values()]
        archive = source.get("archive", "")
        files += [(archive.format(plate=plate), ARCHIVES_MB.get(archive)) for plate in entry.get("plates", ())]
        for file, size in files:
            wanted[paths.DOWNLOAD.format(source=owner, file=file)] = (owner, file, size)
    for name in weights:
        wanted[paths.WEIGHTS.format(weights=name)] = ("torchvision's weights", name, WEIGHTS_MB.get(name))
    yield from (one for file, one in wanted.items() if not Path(file).exists())
