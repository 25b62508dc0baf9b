"""How well nuclei are found: against people's masks and drawn truth, beside ten lines of scikit-image, and in crops of
treated cells; `--fit` fits the weights of `cells/joining.py` again and scores every field with those of the others.

    PYTHONPATH=workflow/scripts:. python tests/benchmarks/nuclei.py ../shared/data [--fit]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from phenoviews.cells import joining
from phenoviews.cells.segmentation import cut, measured, segment, shrunk
from phenoviews.measures.detection import pairs

PARAMS = {"least_area": 0.08, "contrast": 1.3}
FACTORS = (1.0, 0.75, 1.33)  # times the true median diameter
SHAPE = 500, 600
TREATED = 40.0  # the diameter of BBBC021's nuclei, pixels
Field = tuple[str, np.ndarray, np.ndarray, float]  # name, image, true labels, true median diameter


def annotated(folder: Path) -> Iterator[Field]:
    """The fields of `nuclei/dsb2018`, without what is smaller than `least_area`."""
    for file in sorted((folder / "nuclei" / "dsb2018").glob("*_label.png")):
        image = np.asarray(Image.open(file.with_name(file.name.replace("_label", ""))).convert("F"))
        yield field(f"annotated {file.name[:6]}", image, np.asarray(Image.open(file)).astype(int))


def drawn(seed: int, long: bool) -> Field:
    """Ellipses that touch, of uneven brightness and texture, under blur and shot noise; `long`: of axes 2 to 3.2."""
    rng, diameter = np.random.default_rng(seed), 40
    labels, light, centres = np.zeros(SHAPE, int), np.zeros(SHAPE), np.zeros((0, 2))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for _ in range(4000):
        if len(centres) == (50 if long else 60):
            break
        ratio = rng.uniform(2, 3.2) if long else rng.uniform(1, 1.5)
        half = diameter * rng.uniform(0.8, 1.2) / 2 * np.array([np.sqrt(ratio), 1 / np.sqrt(ratio)])
        centre = rng.uniform(0, SHAPE[::-1])
        if len(centres) and rng.random() < 0.75:
            angle, away = rng.uniform(0, 2 * np.pi), diameter * rng.uniform(0.7, 1.3)
            centre = centres[rng.integers(len(centres))] + away * np.array([np.cos(angle), np.sin(angle)])
        turn = rng.uniform(0, np.pi)
        along = (x - centre[0]) * np.cos(turn) + (y - centre[1]) * np.sin(turn)
        across = (y - centre[1]) * np.cos(turn) - (x - centre[0]) * np.sin(turn)
        inside = (along / half[0]) ** 2 + (across / half[1]) ** 2 <= 1
        if inside.sum() < 100 or (labels[inside] > 0).mean() > 0.06:
            continue
        centres, new = np.vstack([centres, centre]), inside & (labels == 0)
        labels[new] = len(centres)
        texture = ndimage.gaussian_filter(rng.normal(size=SHAPE), diameter / 10)
        light += new * rng.uniform(0.6, 1.5) * (1 + 0.12 * texture / texture.std())
    image = 600 + 3000 * ndimage.gaussian_filter(light, 1.5)
    image = rng.normal(image, 0.7 * np.sqrt(image)).astype(np.float32)
    return field(f"{'long' if long else 'clumps'} {seed}", image, labels)


def field(name: str, image: np.ndarray, labels: np.ndarray) -> Field:
    areas = np.bincount(labels.ravel())
    middle = np.median(areas[1:][areas[1:] > 0])
    kept = areas >= PARAMS["least_area"] * middle
    kept[0] = False
    return name, image, np.where(kept, np.cumsum(kept), 0)[labels], float(np.sqrt(4 / np.pi * middle))


def treated(folder: Path) -> dict[str, list[np.ndarray]]:
    """{mechanism of action: DNA channels of published crops of BBBC021 (68, 68)}, each around a nucleus that
    CellProfiler found; without untreated cells, and without crops of noise alone, which hold no nucleus."""
    rows = pd.read_csv(folder / "bbbc021" / "cells.csv")
    rows = rows[rows["also_in"].isna() & (rows["moa"] != "DMSO")]
    images = {name: np.load(folder / "bbbc021" / f"cells-{name}.npz")["images"] for name in rows["source"].unique()}
    found: dict[str, list[np.ndarray]] = {}
    for row in rows.itertuples():
        crop = images[row.source][row.row][..., 0].astype(np.float32)
        dark, bright = np.percentile(ndimage.gaussian_filter(crop, 2), (5, 95))
        if bright > 1.2 * dark:
            found.setdefault(row.moa, []).append(crop)
    return found


def mounted(crops: list[np.ndarray], gap: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """One field of crops of the same size, side by side with nothing between, and their middles (n, 2) as x, y."""
    wide, side = int(np.ceil(np.sqrt(len(crops)))), len(crops[0]) + gap
    image, middles = np.zeros((wide * side, wide * side), np.float32), []
    for number, crop in enumerate(crops):
        y, x = (side * place + gap // 2 for place in divmod(number, wide))
        # As bright as the others, whatever its plate is.
        image[y : y + len(crop), x : x + len(crop)] = crop / np.percentile(crop, 5) * 1000
        middles.append((x + (len(crop) - 1) / 2, y + (len(crop) - 1) / 2))
    return image, np.array(middles)


def recalls(crops: dict[str, list[np.ndarray]], factor: float) -> None:
    print(f"| treated crops, × {factor:g} | crops | found within 20 px of the middle |\n|---|---|---|")
    hits = {}
    for moa, of_moa in crops.items():
        image, middles = mounted(of_moa)
        centres = measured(ours(image, factor * TREATED))[["x", "y"]].to_numpy()
        hits[moa] = len(pairs(centres, middles, 20))
        print(f"| {moa} | {len(of_moa)} | {hits[moa] / len(of_moa):.3f} |", flush=True)
    total = sum(map(len, crops.values()))
    print(f"| all | {total} | {sum(hits.values()) / total:.3f} |")


def counts(found: np.ndarray, true: np.ndarray, diameter: float) -> np.ndarray:
    """Found nuclei whose centre is within half a diameter of a true one's, one to one; others; true ones missed; true
    nuclei that hold the greater part of several found ones (splits), and the reverse (merges)."""
    centres = [measured(labels)[["x", "y"]].to_numpy() for labels in (found, true)]
    right = len(pairs(*centres, diameter / 2))
    shared = np.zeros((found.max() + 1, true.max() + 1))
    np.add.at(shared, (found.ravel(), true.ravel()), 1)
    of_found, of_true = (shared[1:, 1:] / np.maximum(shared.sum(axis)[1:], 1).reshape(shape)
                         for axis, shape in ((1, (-1, 1)), (0, (1, -1))))  # fmt: skip
    splits, merges = ((of_found > 0.5).sum(0) > 1).sum(), ((of_true > 0.5).sum(1) > 1).sum()
    return np.array([right, len(centres[0]) - right, len(centres[1]) - right, splits, merges])


def baseline(image: np.ndarray, diameter: float) -> np.ndarray:
    """Otsu, a smoothed distance transform, its summits, a watershed."""
    smooth = ndimage.gaussian_filter(image, 1)
    bright, _ = ndimage.label(ndimage.binary_fill_holes(smooth > threshold_otsu(smooth)))
    areas = np.bincount(bright.ravel())
    mask = (areas >= PARAMS["least_area"] * np.pi / 4 * diameter**2)[bright] & (bright > 0)
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 2)
    apart = max(1, int(diameter / 4))
    summits = peak_local_max(depth, min_distance=apart, labels=mask.astype(int), exclude_border=False)
    seeds = np.zeros(image.shape, int)
    seeds[tuple(summits.T)] = np.arange(1, len(summits) + 1)
    return watershed(-depth, seeds, mask=mask)


def ours(image: np.ndarray, diameter: float) -> np.ndarray:
    return segment(image, {**PARAMS, "diameter": diameter})


def cuts(field: Field, factor: float) -> Iterator[tuple[list[float], bool]]:
    """The evidence on every cut of a field's watershed, and whether it goes through one true nucleus."""
    _, image, true, diameter = field
    small, shrink = shrunk(image, factor * diameter)
    pieces, smooth = cut(small, factor * diameter / shrink, PARAMS["contrast"])
    truth = np.zeros(pieces.shape, int)
    part = true[::shrink, ::shrink][: truth.shape[0], : truth.shape[1]]
    truth[: part.shape[0], : part.shape[1]] = part
    shared = np.zeros((pieces.max() + 1, truth.max() + 1))
    np.add.at(shared, (pieces.ravel(), truth.ravel()), 1)
    owner = np.where(shared[:, 1:].max(1) > 0.3 * shared.sum(1), 1 + shared[:, 1:].argmax(1), 0)
    dna, depth = np.log(np.maximum(smooth, 1)), ndimage.distance_transform_edt(pieces > 0)
    typical = np.pi / 4 * (factor * diameter / shrink) ** 2
    known, borders = joining.measured(pieces, dna, depth), joining.touching(pieces)
    for one, others in borders.items():
        for other, border in others.items():
            if one < other and owner[one] and owner[other]:
                told = joining.evidence(known[one], known[other], border, dna, depth, typical)
                yield [told[name] for name in joining.WEIGHTS], bool(owner[one] == owner[other])


def fitted(examples: list[tuple[list[float], bool]]) -> tuple[dict[str, float], float]:
    """WEIGHTS and BIAS of a logistic regression."""
    told, one = np.array([told for told, _ in examples]), np.array([one for _, one in examples])
    scaler = StandardScaler().fit(told)
    model = LogisticRegression().fit(scaler.transform(told), one)
    weights = model.coef_[0] / scaler.scale_
    return dict(zip(joining.WEIGHTS, weights.tolist(), strict=True)), float(
        model.intercept_[0] - weights @ scaler.mean_
    )


def line(kind: str, factor: float, total: np.ndarray) -> str:
    right, wrong, missed, splits, merges = total
    shares = right / (right + wrong), right / (right + missed), 2 * right / (2 * right + wrong + missed)
    return f"| {kind} | {factor:g} | {' | '.join(f'{share:.3f}' for share in shares)} | {splits} | {merges} |"


def table(fields: list[Field], find: Callable[[Field, float], np.ndarray]) -> None:
    print("| fields | × diameter | precision | recall | F1 | splits | merges |\n|---|---|---|---|---|---|---|")
    for kind in dict.fromkeys(name.split()[0] for name, *_ in fields):
        for factor in FACTORS:
            of_kind = [one for one in fields if one[0].startswith(kind)]
            print(line(kind, factor, sum(counts(find(one, factor), one[2], one[3]) for one in of_kind)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that holds nuclei/dsb2018 and bbbc021")
    parser.add_argument("--fit", action="store_true", help="fit the weights, leaving one field out in turn")
    options = parser.parse_args()
    fields = [*annotated(options.data), *(drawn(seed, long) for long in (False, True) for seed in range(4))]
    print("ten lines of scikit-image")
    table(fields, lambda one, factor: baseline(one[1], factor * one[3]))
    print("phenoviews")
    table(fields, lambda one, factor: ours(one[1], factor * one[3]))
    crops = treated(options.data)
    for factor in (1.0, 0.75):
        recalls(crops, factor)
    if options.fit:
        examples = {one[0]: [each for factor in FACTORS for each in cuts(one, factor)] for one in fields}
        weights, bias = fitted([each for some in examples.values() for each in some])
        print({name: round(value, 2) for name, value in weights.items()}, round(bias, 2))

        def left_out(one: Field, factor: float) -> np.ndarray:
            others = [each for name, some in examples.items() if name != one[0] for each in some]
            joining.WEIGHTS, joining.BIAS = fitted(others)
            return ours(one[1], factor * one[3])

        print("phenoviews, each field with the weights of the others")
        table(fields, left_out)


if __name__ == "__main__":
    main()
