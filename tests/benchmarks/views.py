"""What both views of an image cost on one core, beside torchvision v2's pipeline on single tensors.

    python tests/benchmarks/views.py [--sizes 32 96 196 224] [--seconds 2]

Prints milliseconds per image (two views) and the ratio. The pipelines are those of *No Free Lunch*, section 2 and
appendices C and D, and of *Contrastive Learning of Single-Cell Phenotypic Representations*, on 8-bit colour images of
the size of the output; the last line is MNIST's, a whole batch of 32.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from shipped import pipeline
from torchvision.transforms import v2

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow" / "scripts"))

from phenoviews.views import Transform

HALF = (0.5, 0.5, 0.5)


def torchvision(name: str, size: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """The same pipeline for one uint8 image (3, H, W)."""
    to_float = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(HALF, HALF)]
    bilinear = v2.InterpolationMode.BILINEAR
    if name == "cifar":
        return v2.Compose(
            [
                v2.RandomResizedCrop(size, (0.08, 1.0), interpolation=v2.InterpolationMode.BICUBIC),
                v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.8),
                v2.RandomGrayscale(0.2),
                v2.RandomHorizontalFlip(),
                *to_float,
            ]
        )
    if name == "single_cell":
        turns = [v2.Lambda(lambda image, k=k: image.rot90(k, (-2, -1))) for k in range(4)]
        return v2.Compose(
            [
                v2.RandomResizedCrop(size, (0.08, 1.0)),
                v2.RandomHorizontalFlip(),
                v2.RandomApply([v2.RandomChoice(turns)], p=0.5),
                v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8),
                v2.RandomGrayscale(0.2),
                v2.RandomApply([v2.GaussianBlur(9, (0.1, 2.0))], p=0.5),
                *to_float,
            ]
        )
    rotation = [v2.RandomRotation(360, interpolation=bilinear)] if name == "cell_left" else []
    return v2.Compose(
        [
            *rotation,
            v2.RandomAffine(20, (0.1, 0.1), shear=10, interpolation=bilinear),
            v2.RandomResizedCrop(size, (0.9, 1.1), (0.9, 1.1)),
            v2.ColorJitter(0.4, 0.4, 0.4, 0.125),
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            *to_float,
        ]
    )


def best(function: Callable[[], object], seconds: float) -> float:
    """Milliseconds of processor time of the fastest call of those that fit into `seconds`, after one to warm up."""
    function()
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return min(times) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 96, 196, 224])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    print(f"{'pipeline':<12}{'px':>5}{'batch':>7}{'ms/image':>10}{'torchvision':>13}{'ratio':>7}")
    for size in arguments.sizes:
        n = 256 if size <= 64 else 32
        images = torch.randint(0, 256, (n, 3, size, size), dtype=torch.uint8, generator=generator)
        for name in ("cifar", "cell_first", "cell_left", "single_cell"):
            transform = Transform(pipeline(name), size, HALF, HALF)
            ours = best(lambda t=transform, x=images: (t(x, generator), t(x, generator)), arguments.seconds) / n
            theirs = torchvision(name, size)
            few = images[:16]
            other = best(lambda t=theirs, x=few: [(t(i), t(i)) for i in x], arguments.seconds) / len(few)
            print(f"{name:<12}{size:>5}{n:>7}{ours:>10.3f}{other:>13.2f}{other / ours:>7.1f}", flush=True)
    digits = torch.randint(0, 256, (32, 1, 28, 28), dtype=torch.uint8, generator=generator)
    transform = Transform(pipeline("mnist_first"), 32, HALF, HALF)
    whole = best(lambda: (transform(digits, generator), transform(digits, generator)), arguments.seconds)
    print(f"mnist_first, 32 images of 28 px to 32 px: {whole:.2f} ms for the batch, both views")


if __name__ == "__main__":
    main()
