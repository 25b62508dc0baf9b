"""From images to embeddings with a trained encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from phenoviews import methods, models
from phenoviews.data import embeddings
from phenoviews.data.images import Images
from phenoviews.errors import UserError
from phenoviews.training.devices import claim, settled
from phenoviews.views import Transform

BATCH = 256


def embed(
    run: dict, data: Path, encoder: Path, projector: Path, outputs: dict[str, Path], threads: int | None = None
) -> None:
    """Write the embeddings of each split in `outputs`: npy, float32, (images, d), in the order of the split's rows.

    The images are resized and normalised, not transformed; the networks are in evaluation mode and compute in float32.
    The vector is the encoder's, or with `run["evaluate"] == "projector"` the projector's (ambiguity A-32).
    """
    device = claim()
    with settled(device, threads):
        _write(load(run, encoder, projector, device), run, data, outputs, device)


def embed_frozen(
    run: dict, data: Path, weights: Path | None, outputs: dict[str, Path], threads: int | None = None
) -> None:
    """As `embed`, with an encoder that nobody trained here: from a weights file, or random ones by the run's seed.

    Raises UserError for weights that do not fit the backbone.
    """
    device = claim()
    with settled(device, threads):
        torch.manual_seed(run["seed"])
        network = embedder(models.build(run["backbone"], weights), nn.Identity(), "encoder")
        network = network.to(device=device, memory_format=torch.channels_last).requires_grad_(False).eval()
        _write(network, run, data, outputs, device)


def _write(network: nn.Module, run: dict, data: Path, outputs: dict[str, Path], device: torch.device) -> None:
    images = Images.open(data)
    for split, path in outputs.items():
        found = features(network, images.tensor(split, device), evaluation_view(run))
        embeddings.save(path, found.cpu().numpy())


def load(run: dict, encoder: Path, projector: Path, device: torch.device) -> nn.Module:
    """The trained network whose output is evaluated, frozen, in evaluation mode, on `device`.

    Raises UserError for files that are not of this run's networks.
    """
    # Not the weights it started from: the encoder's file has them all.
    backbone = models.build({**run["backbone"], "init": "random"})
    models.load_into(backbone, models.load_state(encoder), str(encoder))
    if run["evaluate"] == "projector":
        head = methods.build(run["method"], backbone, sets=len(run["transform"]["sets"]), images=1).projector
        try:
            head.load_state_dict(models.load_state(projector))
        except RuntimeError as error:
            raise UserError(f"{projector}: these weights do not fit the projector of method {run['method']['name']}; "
                            "train the run again") from error  # fmt: skip
    else:
        head = nn.Identity()
    network = embedder(backbone, head, run["evaluate"])
    return network.to(device=device, memory_format=torch.channels_last).requires_grad_(False).eval()


def embedder(encoder: nn.Module, projector: nn.Module, evaluate: str) -> nn.Module:
    """images → the vector that is evaluated: `evaluate` is `encoder` or `projector`."""
    if evaluate not in ("encoder", "projector"):
        raise UserError(f"evaluate: {evaluate!r} is neither encoder nor projector")
    return nn.Sequential(encoder, projector) if evaluate == "projector" else nn.Sequential(encoder)


def evaluation_view(run: dict) -> Transform:
    """Resized to the network's input and normalised, nothing else."""
    dataset = run["dataset"]
    return Transform([{"normalize": {}}], dataset["size"], dataset["mean"], dataset["std"])


def features(
    network: nn.Module, images: Tensor, transform: Transform, generator: torch.Generator | None = None
) -> Tensor:
    """`network` of the transformed `images` (n, C, H, W), batch by batch: (n, d) float32, on the images' device.

    `generator`: on that device, for a random transform.
    """
    generator = generator or torch.Generator(images.device)
    with torch.no_grad():
        parts = [
            network(transform(batch, generator).contiguous(memory_format=torch.channels_last)).float()
            for batch in images.split(BATCH)
        ]
    return torch.cat(parts)
