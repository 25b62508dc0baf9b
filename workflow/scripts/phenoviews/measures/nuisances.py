"""What embeddings tell of where an image comes from, beside what they tell of its class, by one and the same test.

The class, the plate or the week of an image are told by those of its nearest neighbours in other wells. What tells the
plate better than the phenotype is no good for comparing plates.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from phenoviews.errors import NotMeasured
from phenoviews.measures.finite import check_finite
from phenoviews.values import table

NEIGHBOURS = 10
MOST = 6000  # images, drawn by the seed where there are more
BLOCK = 1024
WELL = ("Metadata_Plate", "Metadata_Well")
# What each nuisance is called, and the column that tells it.
NUISANCES = {"plate": "Metadata_Plate", "week": "Metadata_Batch", "row": "Metadata_Row", "column": "Metadata_Column"}


def nuisances(embeddings: np.ndarray, index: pd.DataFrame, seed: int) -> pd.DataFrame:
    """How often the neighbours of an image tell its class, and each nuisance; beyond chance.

    Args:
        embeddings: (n, d) float.
        index: of the same images: class, Metadata_Plate, Metadata_Well and, where it is known, Metadata_Batch.
        seed: draws `MOST` of them.

    Returns:
        told, with the dimension nuisance (class, plate, week, row, column): of the images the share whose `NEIGHBOURS`
        nearest, by cosine, in other wells have most often its own value, (share - chance) / (1 - chance), in percent.
        Chance is that of always naming the most frequent. What is the same for all images has a reason.

    Raises:
        UserError: NaN or infinity.
        NotMeasured: images that do not know their wells, or fewer than two wells.
    """
    if absent := [column for column in WELL if column not in index]:
        raise NotMeasured(f"the images do not know their wells ({absent[0]}), so neighbours of one may not be left out")
    check_finite(embeddings)
    rows = np.arange(len(index))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(len(rows), MOST, replace=False))
    table_of = _columns(index.iloc[rows].reset_index(drop=True))
    wells = pd.factorize(table_of["well"])[0]
    if wells.max() < 1:
        raise NotMeasured("all images are of one well")
    near = neighbours(np.asarray(embeddings, dtype=np.float32)[rows], wells, NEIGHBOURS)
    found = []
    for name in [name for name in ("class", *NUISANCES) if name in table_of]:
        codes, values = pd.factorize(table_of[name])
        row = {"metric": "told", "nuisance": name}
        if len(values) < 2:
            found.append({**row, "value": np.nan, "reason": f"all images have one {name}"})
            continue
        chance = np.bincount(codes).max() / len(codes)
        share = (voted(codes, near, len(values)) == codes).mean()
        found.append({**row, "value": 100 * (share - chance) / (1 - chance)})
    return table(found)


def neighbours(embeddings: np.ndarray, groups: np.ndarray, k: int) -> np.ndarray:
    """The k nearest of each of (n, d) embeddings by cosine, (n, k), none of its own of the `groups` (n,); -1 where
    there are fewer."""
    length = np.linalg.norm(embeddings, axis=1, keepdims=True)
    unit = embeddings / np.where(length == 0, 1, length)
    k = min(k, len(unit) - 1)
    found = np.empty((len(unit), k), dtype=np.int64)
    with threadpool_limits(1):  # the order in which threads add must not decide the last bit
        for rows in np.array_split(np.arange(len(unit)), -(-len(unit) // BLOCK)):
            near = unit[rows] @ unit.T
            near[groups[rows, None] == groups[None, :]] = -np.inf
            best = np.argsort(-near, axis=1, kind="stable")[:, :k]
            found[rows] = np.where(np.take_along_axis(near, best, axis=1) > -np.inf, best, -1)
    return found


def voted(labels: np.ndarray, near: np.ndarray, count: int) -> np.ndarray:
    """The most frequent of the `count` labels (n,) among the neighbours (n, k) of each; of several the first."""
    votes = np.zeros((len(near), count))
    rows, places = np.nonzero(near >= 0)
    np.add.at(votes, (rows, labels[near[rows, places]]), 1)
    return np.asarray(votes.argmax(axis=1))


def _columns(index: pd.DataFrame) -> pd.DataFrame:
    """The class and the well of each image, and of the nuisances those that are known."""
    plate, well = (index[column].astype(str) for column in WELL)
    told = pd.DataFrame({"class": index["class"], "well": plate + "/" + well})
    for name, column in NUISANCES.items():
        if column in index:
            told[name] = index[column].astype(str)
    position = well.str.extract(r"^([A-Za-z]+)0*(\d+)$")
    if "row" not in told and position.notna().all(axis=None):
        told["row"], told["column"] = position[0], position[1]
    return told
