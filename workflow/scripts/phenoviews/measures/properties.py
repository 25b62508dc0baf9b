"""Properties of the classes of a data set, whatever is trained on it (*No Free Lunch*, Table 3).

Two are of the features that a supervised encoder has of a class's images: the intrinsic dimension, and the spectrum of
their covariance. Two are of the images: their texture, and their share of high frequencies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from skdim.id import MLE, TwoNN
from skimage.color import rgb2gray
from skimage.feature import graycomatrix, graycoprops
from threadpoolctl import threadpool_limits

from phenoviews.errors import NotMeasured, UserError
from phenoviews.measures.finite import check_finite
from phenoviews.values import table

NEIGHBOURS = 20  # of the maximum likelihood estimate
LEADING = 50  # eigenvalues: the paper's F of 1.27 is significant, and its 0.97 is not, if there are about as many
LEVELS = 64  # of grey; the matrix of 256 takes fifteen times as long
CUT = 0.25  # cycles per pixel: half of the highest frequency that a row or a column has

Floats = npt.NDArray[np.float64]

# Distinct points (n, d) → their intrinsic dimension. The tenth of TwoNN's ratios that is left out is the largest, as
# Facco et al. (2017) do; the estimates of the other (Levina and Bickel 2004) are averaged by their inverses.
DIMENSION: dict[str, Callable[[Floats], float]] = {
    "two_nn": lambda points: float(TwoNN(discard_fraction=0.1).fit(points).dimension_),
    "mle": lambda points: float(MLE().fit(points, n_neighbors=NEIGHBOURS, comb="mle").dimension_),
}


def properties(
    features: npt.NDArray[Any],
    images: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    classes: Sequence[str],
    composites: Sequence[Sequence[Sequence[float]]],
    superclasses: Sequence[str] | None = None,
    dimension: str = "two_nn",
    leading: int = LEADING,
    cut: float = CUT,
    white: Sequence[float] = (1.0,),
) -> pd.DataFrame:
    """The properties of every class.

    Args:
        features: (n, d) of a supervised encoder.
        images: (n, h, w, c) uint8 or uint16.
        labels: (n,) int, an index into `classes`.
        classes: names by label.
        composites: (k, c, 3), the k pictures in which an image is seen, as from `study.composites`; texture and high
            frequencies are the mean over them. A single channel is seen as it is.
        superclasses: the superclass of each class, by label; None: there are none.
        dimension: a key of `DIMENSION`.
        leading, cut, white: as in `spectrum`, `high_frequencies` and `grey`.

    Returns:
        Values with the dimensions class and superclass: intrinsic_dimension, texture, high_frequencies; and eigenvalue,
        whose dimension component is 1 for the largest.

    Raises:
        UserError: NaN or infinity.
        NotMeasured: a class with too few images.
    """
    check_finite(features)
    rows = []
    for label, name in enumerate(classes):
        of = np.flatnonzero(np.asarray(labels) == label)
        try:
            points, pictures = np.asarray(features[of], dtype=np.float64), grey(images[of], composites, white)
            numbers = {
                "intrinsic_dimension": intrinsic_dimension(points, dimension),
                "texture": float(np.mean(texture(pictures))),
                "high_frequencies": float(np.mean(high_frequencies(pictures, cut))),
            }
            eigenvalues = spectrum(points, leading)
        except UserError as error:
            raise NotMeasured(f"class '{name}': {error}") from None
        named = {"class": name, "superclass": superclasses[label] if superclasses else ""}
        rows += [{"metric": metric, "value": value, **named} for metric, value in numbers.items()]
        rows += [
            {"metric": "eigenvalue", "value": value, **named, "component": float(component)}
            for component, value in enumerate(eigenvalues, start=1)
        ]
    return table(rows)


def intrinsic_dimension(points: Floats, by: str = "two_nn") -> float:
    """Of how many numbers a class's features (n, d) are a function, locally; of two equal ones one counts.

    Raises:
        UserError: too few of them.
    """
    distinct = np.unique(points, axis=0)
    if len(distinct) < NEIGHBOURS + 2:
        raise UserError(
            f"{len(distinct)} different features are too few for an intrinsic dimension, {NEIGHBOURS + 2} are needed; "
            "take more images"
        )
    with threadpool_limits(1):
        return DIMENSION[by](distinct)


def spectrum(points: Floats, leading: int = LEADING) -> Floats:
    """The largest eigenvalues, in descending order, of the covariance of a class's features (n, d).

    Raises:
        UserError: fewer images or features than eigenvalues.
    """
    if leading > min(len(points) - 1, points.shape[1]):
        raise UserError(
            f"{len(points)} images with {points.shape[1]} features have no {leading} eigenvalues; ask for fewer of them"
        )
    with threadpool_limits(1):
        singular = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return np.asarray(singular[:leading] ** 2 / (len(points) - 1), dtype=np.float64)


def texture(pictures: Floats) -> Floats:
    """The contrast of each grey image, (n,): the mean squared difference of neighbours, in `LEVELS` levels of grey.

    Neighbours are at one pixel in four directions (Haralick, Shanmugam and Dinstein 1973).

    Args:
        pictures: (n, h, w) in [0, 1].
    """
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    levels = np.minimum(pictures * LEVELS, LEVELS - 1).astype(np.uint8)
    return np.array(
        [
            graycoprops(graycomatrix(one, [1], angles, LEVELS, symmetric=True, normed=True), "contrast").mean()
            for one in levels
        ]
    )


def high_frequencies(pictures: Floats, cut: float = CUT) -> Floats:
    """Which share of the variance of each grey image lies in frequencies above a cut, (n,) in [0, 1].

    An image of one grey has no variance, and 0.

    Args:
        pictures: (n, h, w).
        cut: cycles per pixel.
    """
    power = np.abs(np.fft.fft2(pictures - pictures.mean(axis=(1, 2), keepdims=True))) ** 2
    down, across = (np.fft.fftfreq(size) for size in pictures.shape[1:])
    high = np.hypot(down[:, None], across) > cut
    whole = power.sum(axis=(1, 2))
    return np.asarray(power[:, high].sum(axis=1) / np.where(whole > 1e-9, whole, np.inf))


def grey(
    images: npt.NDArray[Any], composites: Sequence[Sequence[Sequence[float]]], white: Sequence[float] = (1.0,)
) -> Floats:
    """The luminance in [0, 1] of (n, h, w, c) images, uint8 or uint16, in each of k `composites`: (n · k, h, w).
    `white`: which share of the highest value is 1, for each channel or for all of them (see `data.images.white`)."""
    scaled = np.minimum(images / (np.iinfo(images.dtype).max * np.asarray(white)), 1)
    if images.shape[-1] == 1:
        return np.asarray(scaled[..., 0])
    painted = (rgb2gray(np.clip(scaled @ np.asarray(paint), 0, 1)) for paint in composites)
    return np.concatenate(list(painted)).astype(np.float64)
