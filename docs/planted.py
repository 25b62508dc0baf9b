"""Which operation must destroy which planted difference, which may, and which must not: told from pixels alone.

    PYTHONPATH=workflow/scripts python docs/planted.py

writes the table into docs/audit.md, and with the audit.csv of an audit of the data set `planted` says how well its
operations alone, against none, were told. Of each pair of classes there is a *ruler*, a number of an image that tells
the pair's property and depends on nothing that differs between its images otherwise. An operation is applied to images
of both classes; the ruler then tells the classes apart as well as before (it must not hurt), hardly (it must), or in
between (it may): by how often an image's nearest by the ruler are of its class. No network is involved.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from phenoviews.data.readers.planted import PAIRS, draw
from phenoviews.study.document import shipped
from phenoviews.views import Transform

IMAGES = 240  # of each class
MUST, MUST_NOT = 0.70, 0.85  # below, above
OPERATIONS = {
    "rotation": {"random_rotation": {"degrees": 180}},
    "scale": {"random_affine": {"degrees": 0, "translate": [0, 0], "shear": 0, "scale": [1.0, 2.0]}},
    "crop": {"random_crop": {"fraction": [0.6, 0.8]}},
    "flip": {"random_horizontal_flip": {"p": 0.5}},
    "brightness": {"color_jitter": {"brightness": 0.6, "contrast": 0, "saturation": 0, "hue": 0, "p": 1}},
    "contrast": {"color_jitter": {"brightness": 0, "contrast": 0.6, "saturation": 0, "hue": 0, "p": 1}},
    "hue": {"color_jitter": {"brightness": 0, "contrast": 0, "saturation": 0, "hue": 0.5, "p": 1}},
    "grey": {"random_grayscale": {"p": 1.0}},
    "blur": {"gaussian_blur": {"kernel_size": 9, "sigma": [0.1, 2.5], "p": 1.0}},
    "invert": {"random_invert": {"p": 0.5}},
    "erasing": {"random_erasing": {"p": 1.0, "scale": [0.02, 0.3], "value": 0.5}},
    "centre crop": {"center_crop": {"fraction": 0.5}},
}
_Y, _X = np.indices((32, 32)) - 15.5


def _grey(images: np.ndarray) -> np.ndarray:
    return images @ [0.299, 0.587, 0.114]


def _away(images: np.ndarray) -> np.ndarray:
    """How far each pixel is from the image's median: what stands out, dark or light."""
    grey = _grey(images)
    return np.abs(grey - np.median(grey, axis=(1, 2), keepdims=True))


def _orientation(images: np.ndarray) -> np.ndarray:
    down, right = np.gradient(gaussian_filter(_grey(images), (0, 0.7, 0.7)), axis=(1, 2))
    return ((down**2).sum((1, 2)) - (right**2).sum((1, 2))) / ((down**2).sum((1, 2)) + (right**2).sum((1, 2)))


def _handedness(images: np.ndarray) -> np.ndarray:
    """How well the image fits the flag at its best turn and place, less how well it fits the mirrored one."""
    flag = draw("handedness", np.array([1]), np.random.default_rng(0))[0].mean(-1)
    flag = gaussian_filter(flag - np.median(flag), 0.7)
    grey = _away(images)
    grey = np.fft.rfft2(grey - grey.mean((1, 2), keepdims=True))
    best = []
    for template in (flag, flag[:, ::-1]):
        found = []
        for angle in np.deg2rad(np.arange(0, 360, 15)):
            places = [_Y * np.cos(angle) + _X * np.sin(angle) + 15.5, -_Y * np.sin(angle) + _X * np.cos(angle) + 15.5]
            turned = map_coordinates(template, places, order=1)
            turned -= turned.mean()
            found.append(np.fft.irfft2(grey * np.conj(np.fft.rfft2(turned))).max((1, 2)) / np.linalg.norm(turned))
        best.append(np.max(found, axis=0))
    return best[0] - best[1]


def _position(images: np.ndarray) -> np.ndarray:
    weight = np.clip(_away(images) - 0.05, 0, None)
    return (weight * _X).sum((1, 2)) / np.maximum(weight.sum((1, 2)), 1e-9)


def _size(images: np.ndarray) -> np.ndarray:
    away = _away(images)
    return (away > away.max((1, 2), keepdims=True) / 2).sum((1, 2))


def _texture_scale(images: np.ndarray) -> np.ndarray:
    """The mean frequency of the middle, where nothing has been filled in."""
    middle = _grey(images)[:, 6:-6, 6:-6]
    power = np.abs(np.fft.rfft2(middle - middle.mean((1, 2), keepdims=True))) ** 2
    frequency = np.hypot(np.fft.fftfreq(20)[:, None], np.fft.rfftfreq(20)[None])
    return -(power * frequency).sum((1, 2)) / power.sum((1, 2))


def _polarity(images: np.ndarray) -> np.ndarray:
    middle = _grey(images)[:, 6:-6, 6:-6].reshape(len(images), -1)
    middle = middle - middle.mean(1, keepdims=True)
    return (middle**3).mean(1) / (middle**2).mean(1) ** 1.5


def _mark(images: np.ndarray) -> np.ndarray:
    """The strongest small dot outside of the ring."""
    grey = _grey(images)
    dots = np.abs(gaussian_filter(grey, (0, 3, 3)) - gaussian_filter(grey, (0, 1, 1)))
    return dots[:, (np.hypot(_X, _Y) > 10) & (np.hypot(_X, _Y) < 14)].max(1)


RULERS = {
    "orientation": _orientation,
    "handedness": _handedness,
    "colour": lambda images: (images[..., 0] - images[..., 2]).mean((1, 2)),
    "brightness": lambda images: np.median(_grey(images)[:, 6:-6, 6:-6], axis=(1, 2)),
    "size": _size,
    "position": _position,
    "texture_scale": _texture_scale,
    "texture_contrast": lambda images: _grey(images)[:, 6:-6, 6:-6].std((1, 2)),
    "polarity": _polarity,
    "mark": _mark,
}


def told(images: np.ndarray, way: np.ndarray, ruler) -> float:
    """How often the class of an image is told by those 15 of the others that the ruler puts nearest, (0.5, 1): within
    the circle that a turned image has all of. Not by a threshold, since an inverted image may lie beyond all others."""
    median = np.median(images, axis=(1, 2), keepdims=True)
    found = ruler(np.where((np.hypot(_X, _Y) < 15)[..., None], images, median))
    neighbours = KNeighborsClassifier(15)
    return max(0.5, float((cross_val_predict(neighbours, found[:, None], way, cv=8) == way).mean()))


def applied(images: np.ndarray, operation: dict | None, seed: int = 0) -> np.ndarray:
    """The images (n, 32, 32, 3) in [0, 1] under an operation."""
    pipeline = [*([operation] if operation else []), {"normalize": {}}]
    view = Transform(pipeline, 32, [0.0] * 3, [1.0] * 3)
    tensor = torch.from_numpy(images).float().permute(0, 3, 1, 2).contiguous()
    return view(tensor, torch.Generator().manual_seed(seed)).permute(0, 2, 3, 1).numpy().astype(float)


def matrix(operations: dict[str, dict] = OPERATIONS) -> dict[str, dict[str, float]]:
    """{pair: {operation, "" for none: how well its ruler tells its classes}}."""
    found = {}
    for name in PAIRS:
        way = np.tile([-1, 1], IMAGES)
        images = draw(name, way, np.random.default_rng([1, len(found)]))
        each = {"": None, **operations}
        found[name] = {key: told(applied(images, one), way, RULERS[name]) for key, one in each.items()}
    return found


def judged(share: float) -> str:
    return "must" if share < MUST else "must not" if share > MUST_NOT else "may"


def markdown(found: dict[str, dict[str, float]]) -> str:
    lines = [f"| pair | {' | '.join(OPERATIONS)} |", "|---" * (1 + len(OPERATIONS)) + "|"]
    for name, of in found.items():
        words = {"must": "**must**", "may": "may", "must not": "·"}
        cells = [f"{words[judged(of[key])]} {of[key]:.2f}" for key in OPERATIONS]
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def scored(table: pd.DataFrame, truth: dict[str, dict[str, float]]) -> str:
    """What an audit found of what is so, in words.

    Args:
        table: its audit.csv, with a row for each operation alone and each pair.
        truth: `matrix` of its operations.
    """
    alone = table[(table["against"] == "none") & table["outcome"].isin(PAIRS) & (table["setting"] != "none")]
    loses = {(row.outcome, row.setting) for row in alone.itertuples() if row.verdict == "loses"}
    is_so = {key: judged(truth[key[0]][key[1]]) for key in zip(alone["outcome"], alone["setting"], strict=True)}
    must = {key for key, word in is_so.items() if word == "must"}
    false = {key for key in loses if is_so[key] == "must not"}
    pairs = {pair for pair, _ in loses & must}
    lines = [
        f"{len(pairs)} of {len({pair for pair, _ in must})} pairs found, {len(false)} false alarm(s) among "
        f"{sum(word == 'must not' for word in is_so.values())}; of operations and pairs {len(loses & must)} of "
        f"{len(must)} (recall {len(loses & must) / max(len(must), 1):.2f}, precision "
        f"{len(loses & must) / max(len((loses & must) | false), 1):.2f})"
    ]
    told_of = {"false": false, "missed": must - loses}
    lines += [f"{word}: {', '.join(f'{pair} by {one}' for pair, one in sorted(of))}" for word, of in told_of.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    if sys.argv[1:]:
        its = {next(iter(step)): step for step in shipped()["transforms"]["planted"] if "normalize" not in step}
        print(scored(pd.read_csv(sys.argv[1], keep_default_na=False), matrix(its)))
        sys.exit()
    page = Path(__file__).with_name("audit.md")
    text = page.read_text(encoding="utf-8")
    table = f"<!-- planted -->\n{markdown(matrix())}\n<!-- /planted -->"
    text = re.sub(r"<!-- planted -->.*<!-- /planted -->", lambda _: table, text, flags=re.DOTALL)
    page.write_text(text, encoding="utf-8")
