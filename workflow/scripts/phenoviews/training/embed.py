"""From images to embeddings with a trained encoder."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from phenoviews import methods, models
from phenoviews.data import embeddings
from phenoviews.data import pool as pools
from phenoviews.data.images import Images
from phenoviews.data.pool import Pool, pool
from phenoviews.errors import UserError
from phenoviews.models.imagenet import required
from phenoviews.study.resolved import Dataset, Embedding, FrozenEmbedding
from phenoviews.training.devices import claim, memory_format, torch_switches
from phenoviews.views import Transform

BATCH = 256
Network = TypeVar("Network", bound=nn.Module)
State = dict[str, Tensor]
CHUNK = 16  # batches written at a time: a GPU is waited for once for all of them


def embed(run: Embedding, data: Path, encoder: Path, projector: Path, out: Path, threads: int | None = None) -> None:
    """Write the embeddings of the images that `run.dataset.evaluated` names (a split, or "all"): npy, float32,
    (images, d), in the order of their rows. Neither they nor the images need to fit in memory. Where they are not
    finite, the file says so in their place.

    The images are resized and normalised, not transformed; the networks are in evaluation mode and compute in float32.
    The vector is the encoder's, or with `run.evaluate == "projector"` the projector's (ambiguity A-32).
    """
    device = claim()
    with torch_switches(device, threads):
        network = load(run, encoder, projector, device)
        if not write_embeddings(network, Images.open(data), run.dataset, out, device):
            embeddings.save(out, f"the {run.evaluate}'s output is not a number")


def embed_frozen(run: FrozenEmbedding, data: Path, weights: Path | None, out: Path, threads: int | None = None) -> None:
    """As `embed`, with an encoder that nobody trained here: from a weights file, or random ones by the run's seed.

    Raises UserError for weights that do not fit the backbone, or whose embeddings are not finite.
    """
    device = claim()
    with torch_switches(device, threads):
        network = load_frozen(run, weights, device)
        if not write_embeddings(network, Images.open(data), run.dataset, out, device):
            raise UserError(f"{weights}: the embeddings that these weights give are not finite; use others")


def write_embeddings(network: nn.Module, images: Images, dataset: Dataset, out: Path, device: torch.device) -> bool:
    """Write what `network` makes of the evaluated images of `dataset`. Returns False, and leaves no file, where that
    is not finite."""
    evaluated = pool(images, dataset.evaluated, device)
    found = embedded(network, evaluated, evaluation_view(with_statistics(images, dataset)))
    try:
        embeddings.save_chunks(out, fetched(found, len(evaluated)), len(evaluated))
    except embeddings.NotFinite:
        return False
    return True


def with_statistics(images: Images, dataset: Dataset) -> Dataset:
    """`dataset` with mean and standard deviation as numbers."""
    return Dataset.from_dict(pools.with_statistics(images, dataset.to_dict()))


def fetched(batches: Iterator[Tensor], total: int) -> Iterator[np.ndarray]:
    """The batches on the CPU, several joined; a progress bar for `total` rows where it takes long."""
    interval = 0.5 if sys.stderr.isatty() else 30.0
    with tqdm(total=total, desc="embedding", unit="image", delay=5, mininterval=interval) as bar:
        while waiting := list(itertools.islice(batches, CHUNK)):
            chunk = torch.cat(waiting).cpu().numpy()
            yield chunk
            bar.update(len(chunk))


def load(run: Embedding, encoder: Path, projector: Path, device: torch.device) -> nn.Module:
    """The trained network whose output is evaluated, frozen, in evaluation mode, on `device`.

    Raises UserError for files that are not of this run's networks.
    """
    # Not the weights it started from: the encoder's has them all.
    backbone = models.build(run.backbone.to_dict() | {"init": "random"}, channels=run.dataset.channels)
    models.load_into(backbone, models.load_state(encoder), str(encoder))
    head: nn.Module = nn.Identity()
    if run.evaluate == "projector":
        head = methods.build(run.method.to_dict(), backbone, sets=len(run.transform.sets), images=1).projector
        try:
            head.load_state_dict(models.load_state(projector))
        except RuntimeError as error:
            raise UserError(f"{projector}: these weights do not fit the projector of method {run.method.name}; "
                            "train the run again") from error  # fmt: skip
    return placed(embedder(backbone, head, run.evaluate), device).requires_grad_(False).eval()


def load_frozen(run: FrozenEmbedding, weights: Path | None, device: torch.device) -> nn.Module:
    """As `load`, an encoder that nobody trained here; see `embed_frozen`."""
    torch.manual_seed(run.seed)
    network = embedder(models.build(run.backbone.to_dict(), weights, run.dataset.channels), nn.Identity(), "encoder")
    return placed(network, device).requires_grad_(False).eval()


def loader(run: Mapping[str, Any], files: Mapping[str, Any]) -> tuple[Callable[[torch.device], nn.Module], Dataset]:
    """An encoder that is measured, whoever trained it → (how to load it on a device, how images are shown to it).

    Args:
        run: an `Embedding`, or a `FrozenEmbedding`, as plain data.
        files: a training's `encoder` and `projector`; or `weights`, one or none, of an encoder that nobody trained
            here.
    """
    if "encoder" in files:
        trained = Embedding.from_dict(run)
        return partial(load, trained, Path(files["encoder"]), Path(files["projector"])), trained.dataset
    frozen = FrozenEmbedding.from_dict(run)
    return partial(load_frozen, frozen, required(files["weights"])), frozen.dataset


def embedder(encoder: nn.Module, projector: nn.Module, evaluate: str) -> nn.Module:
    """images → the vector that is evaluated: `evaluate` is `encoder` or `projector`."""
    if evaluate not in ("encoder", "projector"):
        raise UserError(f"evaluate: {evaluate!r} is neither encoder nor projector")
    return nn.Sequential(encoder, projector) if evaluate == "projector" else nn.Sequential(encoder)


def placed(network: Network, device: torch.device) -> Network:
    """`network` itself, moved to `device`, in the memory layout that suits both."""
    # torch's own annotations leave memory_format out.
    there: Network = network.to(device=device, memory_format=memory_format(network, device))  # type: ignore[call-overload]
    return there


def evaluation_view(dataset: Dataset) -> Transform:
    """Resized to the network's input and normalised, nothing else. `dataset`: with numbers (see `with_statistics`)."""
    return Transform([{"normalize": {}}], dataset.size, dataset.mean, dataset.std)


def features(
    network: nn.Module, images: Pool, transform: Transform, generator: torch.Generator | None = None
) -> Tensor:
    """`network` of the transformed `images`: (n, d) float32, all of them on the images' device; see `embedded`."""
    return torch.cat(list(embedded(network, images, transform, generator)))


@torch.no_grad()
def embedded(
    network: nn.Module, images: Pool, transform: Transform, generator: torch.Generator | None = None
) -> Iterator[Tensor]:
    """`network` of the transformed `images` of a `pool`, batch by batch: (up to BATCH, d) float32, on their device.

    `generator`: on that device, for a random transform.
    """
    generator = generator or torch.Generator(images.device)
    layout = memory_format(network, images.device)
    for batch in images.batches(BATCH):
        yield network(transform(batch, generator).contiguous(memory_format=layout)).float()
