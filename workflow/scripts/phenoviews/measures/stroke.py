"""Whether clusters follow the thickness of the line (*No Free Lunch*, figures 1 and 9, where an eye is to see it)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.ndimage import distance_transform_edt
from skimage.morphology import skeletonize
from skimage.transform import resize

from phenoviews.values import table

FINER = 4  # grey pixels at the edge of a stroke tell its width to less than a pixel


def strokes(images: npt.NDArray[Any], clusters: npt.NDArray[Any], labels: npt.NDArray[Any]) -> pd.DataFrame:
    """The share of the variance of stroke thickness that lies between clusters, and between classes.

    Some digits are written with thicker strokes than others, so that clusters of digits tell a part of it, too: what
    classes tell is what to compare with.

    Args:
        images: as for `thickness`.
        clusters: (n,), the cluster of each image.
        labels: (n,), its class.

    Returns:
        Values: thickness, the mean in pixels; thickness_by_cluster and thickness_by_class, eta squared in [0, 1], with
        a reason in their place where there is no variance.
    """
    found = thickness(images)
    reason = f"the strokes of all {len(found)} images are equally thick" * bool(np.ptp(found) == 0)
    shares = {
        name: None if reason else explained(found, groups)
        for name, groups in {"thickness_by_cluster": clusters, "thickness_by_class": labels}.items()
    }
    rows = [{"metric": name, "value": share, "reason": reason} for name, share in shares.items()]
    return table([{"metric": "thickness", "value": found.mean()}, *rows])


def thickness(images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Mean stroke thickness of each image: twice the distance from the strokes' midline to their edge.

    A stroke is what is brighter than half of the image's maximum, on a dark ground. Its midline is the skeleton; the
    distance is that of the Euclidean distance transform, on a grid `FINER` than the pixels.

    Args:
        images: (n, h, w) or (n, h, w, c), of which the channels are averaged.

    Returns:
        (n,) in pixels; 0 for an image without a stroke.
    """
    return np.array([_thickness(image.mean(axis=-1) if image.ndim == 3 else image) for image in images])


def explained(values: npt.NDArray[np.float64], groups: npt.NDArray[Any]) -> float:
    """Eta squared: the share, in [0, 1], of the variance of (n,) values, not all equal, that lies between groups."""
    _, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group)
    means = np.bincount(group, values) / sizes
    between = (sizes * (means - values.mean()) ** 2).sum()
    return float(between / ((values - values.mean()) ** 2).sum())


def _thickness(image: npt.NDArray[Any]) -> float:
    fine = resize(image.astype(np.float64), [FINER * side for side in image.shape], order=1, anti_aliasing=False)
    # Beyond the image there is no stroke.
    stroke = np.pad((fine > fine.max() / 2) & (fine > 0), 1)
    if not stroke.any():
        return 0.0
    # To the centre of the nearest pixel outside. The midline of a stroke of w pixels is (w + 1) / 2 or, where no pixel
    # lies on it, w / 2 from there; half a pixel less is right in the mean of both.
    distance = distance_transform_edt(stroke)[skeletonize(stroke)].mean()
    return float((2 * distance - 0.5) / FINER)
