"""The drawn parameters against torchvision's own draws: two-sample Kolmogorov-Smirnov and chi-square, fixed seeds.

With many thousand draws a wrong range, a missing rounding or a linear instead of a logarithmic ratio gives p-values far
below the level used here.
"""

from __future__ import annotations

import itertools

import pytest
import torch
from scipy.stats import chisquare, ks_2samp, kstest
from tests.views.torchvision_reference import single
from torchvision.transforms import v2

from phenoviews.views import Transform

OURS, THEIRS, LEVEL = 20_000, 3_000, 1e-3


def draw(name: str, height: int, width: int, n: int = OURS, **parameters) -> dict:
    return single(name, 32, **parameters).draw(n, height, width, torch.Generator().manual_seed(0))[0]


def theirs(operation, height: int, width: int) -> list[dict]:
    torch.manual_seed(0)
    image = torch.empty(3, height, width)
    return [operation.make_params([image]) for _ in range(THEIRS)]


def same(ours: torch.Tensor, reference) -> None:
    reference = torch.as_tensor(reference, dtype=torch.float32)  # equal numbers must stay equal
    assert ks_2samp(ours.numpy(), reference.numpy()).pvalue > LEVEL


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 30)])
@pytest.mark.parametrize(
    ("scale", "ratio"),
    [((0.08, 1.0), (3 / 4, 4 / 3)), ((0.9, 1.1), (0.9, 1.1)), ((0.2, 0.2), (3 / 4, 4 / 3)), ((1.0, 1.0), (1.5, 2.0))],
)
def test_random_resized_crop(scale, ratio, height, width):
    drawn = draw("random_resized_crop", height, width, scale=list(scale), ratio=list(ratio))
    reference = theirs(v2.RandomResizedCrop(32, scale, ratio), height, width)
    (left, top), (wide, high) = drawn["corner"].unbind(1), drawn["sides"].unbind(1)
    for ours, key in ((left, "left"), (top, "top"), (wide, "width"), (high, "height")):
        same(ours, [r[key] for r in reference])
        assert torch.equal(ours, ours.round())
    same(wide * high, [r["width"] * r["height"] for r in reference])
    same(wide / high, [r["width"] / r["height"] for r in reference])
    assert (left >= 0).all()
    assert (top >= 0).all()
    assert (left + wide <= width).all()
    assert (top + high <= height).all()


@pytest.mark.parametrize("ratio", [(0.2, 0.25), (4.0, 5.0)])
def test_random_resized_crop_where_no_box_fits(ratio):
    """The largest central box of an allowed ratio."""
    drawn = draw("random_resized_crop", 40, 60, n=5, scale=[1.0, 1.0], ratio=list(ratio))
    reference = v2.RandomResizedCrop(32, (1.0, 1.0), ratio).make_params([torch.empty(3, 40, 60)])
    assert drawn["corner"].tolist() == [[reference["left"], reference["top"]]] * 5
    assert drawn["sides"].tolist() == [[reference["width"], reference["height"]]] * 5


def test_random_rotation():
    reference = theirs(v2.RandomRotation(25), 32, 32)
    same(draw("random_rotation", 32, 32, degrees=25)["angle"], [r["angle"] for r in reference])


@pytest.mark.parametrize("scale", [(0.8, 1.2), None])
def test_random_affine(scale):
    reference = theirs(v2.RandomAffine(20, (0.1, 0.3), scale, 10), 48, 30)
    more = {"scale": list(scale)} if scale else {}
    drawn = draw("random_affine", 48, 30, degrees=20, translate=[0.1, 0.3], shear=10, **more)
    same(drawn["angle"], [r["angle"] for r in reference])
    same(drawn["scale"], [r["scale"] for r in reference])
    same(drawn["shear"], [r["shear"][0] for r in reference])
    for axis in (0, 1):
        same(drawn["shift"][:, axis], [r["translate"][axis] for r in reference])
        assert torch.equal(drawn["shift"], drawn["shift"].round())


@pytest.mark.parametrize("strength", [0.4, 1.5])
def test_color_jitter(strength):
    hue = min(0.5, strength)
    drawn = draw("color_jitter", 32, 32, brightness=strength, contrast=0.3, saturation=strength / 2, hue=hue, p=1.0)
    reference = theirs(v2.ColorJitter(strength, 0.3, strength / 2, hue), 32, 32)
    for key in ("brightness", "contrast", "saturation", "hue"):
        same(drawn[key], [r[f"{key}_factor"] for r in reference])
    orders = [list(order) for order in itertools.permutations(range(4))]
    counts = [drawn["order"].eq(torch.tensor(order)).all(1).sum().item() for order in orders]
    assert sum(counts) == OURS
    assert chisquare(counts).pvalue > LEVEL


def test_color_jitter_is_applied_as_often_as_asked():
    """p: the whole jitter; hue_p: its hue part, given the whole."""
    drawn = draw("color_jitter", 32, 32, p=0.7, hue_p=0.4)
    applied, turned = drawn["brightness"] != 1, drawn["hue"] != 0
    assert torch.equal(applied, drawn["contrast"] != 1)
    assert torch.equal(applied, drawn["saturation"] != 1)
    assert not (turned & ~applied).any()
    assert applied.float().mean().item() == pytest.approx(0.7, abs=0.015)
    assert turned.float().mean().item() == pytest.approx(0.28, abs=0.015)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 30)])
@pytest.mark.parametrize(("scale", "ratio"), [((0.02, 0.3), (0.3, 3.3)), ((0.5, 1.0), (0.3, 3.3))])
def test_random_erasing(scale, ratio, height, width):
    """The box, and how often there is none; sizes after an operation that keeps the images' own."""
    transform = single("random_erasing", 32, p=1.0, scale=list(scale), ratio=list(ratio))
    drawn = transform.operations[0].draw(
        torch.tensor([[float(width), float(height)]]).expand(OURS, 2), torch.Generator().manual_seed(0)
    )
    reference = theirs(v2.RandomErasing(1.0, scale, ratio), height, width)
    erased = [r for r in reference if r["v"] is not None]
    applied = drawn["apply"]
    assert applied.float().mean().item() == pytest.approx(len(erased) / len(reference), abs=0.02)
    (left, top), (wide, high) = drawn["corner"][applied].unbind(1), drawn["sides"][applied].unbind(1)
    for ours, key in ((left, "j"), (top, "i"), (wide, "w"), (high, "h")):
        same(ours, [r[key] for r in erased])


def test_gaussian_blur():
    reference = theirs(v2.GaussianBlur(3, (0.1, 2.0)), 32, 32)
    same(draw("gaussian_blur", 32, 32, p=1.0, sigma=[0.1, 2.0])["sigma"], [r["sigma"][0] for r in reference])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("random_horizontal_flip", "flip"),
        ("random_vertical_flip", "flip"),
        ("random_grayscale", "apply"),
        ("random_invert", "apply"),
        ("random_solarize", "apply"),
        ("gaussian_blur", "apply"),
        ("random_erasing", "apply"),
    ],
)
@pytest.mark.parametrize("p", [0.2, 0.5, 1.0])
def test_applied_as_often_as_asked(name, key, p):
    assert draw(name, 32, 32, p=p)[key].float().mean().item() == pytest.approx(p, abs=0.015)


@pytest.mark.parametrize("p", [0.2, 0.5, 1.0])
def test_quarter_turns(p):
    """Nothing with probability 1 - p; else 0, 1, 2 or 3 quarters with equal chances, 0 among them."""
    turns = draw("random_rotate_90", 32, 32, p=p)["turns"]
    counts = torch.stack([turns == k for k in range(4)]).sum(1)
    assert counts.sum() == OURS
    expected = torch.tensor([1 - 0.75 * p, p / 4, p / 4, p / 4]) * OURS
    assert chisquare(counts.numpy(), expected.double().numpy() * (OURS / expected.double().sum().item())).pvalue > LEVEL


def test_crops_and_pads_by_a_fraction_of_the_side():
    """Uniform in the fraction, drawn for every image, in whole pixels, anywhere on the image."""
    drawn = draw("random_crop", 100, 100, fraction=[0.5, 0.9])
    uniform = torch.linspace(50, 90, OURS)
    same(drawn["sides"][:, 0], uniform.round())
    assert torch.equal(drawn["sides"][:, 0], drawn["sides"][:, 1])
    room = 100 - drawn["sides"]
    assert ((drawn["corner"] >= 0) & (drawn["corner"] <= room)).all()
    for axis in (0, 1):
        share = (drawn["corner"][:, axis] + torch.rand(OURS, generator=torch.Generator().manual_seed(1))) / (
            room[:, axis] + 1
        )
        same(share, torch.linspace(0, 1, OURS))
    same(draw("pad", 100, 140, fraction=[0.1, 0.4])["padding"], torch.linspace(10, 40, OURS).round())


def test_sizes_are_those_of_the_step_before():
    """A crop after a padding may lie anywhere on the padded image, erasing acts on the resized one."""
    pipeline = [
        {"pad": {"fraction": [0.5, 0.5]}},
        {"random_crop": {"fraction": [0.5, 0.5]}},
        {"normalize": {}},
        {"random_erasing": {"p": 1.0, "scale": [0.02, 0.3]}},
    ]
    transform = Transform(pipeline, 64, (0,) * 3, (1,) * 3)
    pad, crop, _, erase = transform.draw(2000, 10, 10, torch.Generator().manual_seed(0))
    assert (pad["padding"] == 5).all()
    assert (crop["sides"] == 10).all()
    assert crop["corner"].max() == 10
    assert erase["sides"].max() > 30


@pytest.mark.parametrize(
    ("name", "key", "bounds", "logarithmic"),
    [("random_gain", "gain", (0.7, 1.4), False), ("random_contrast", "contrast", (0.5, 1.1), False),
     ("random_gamma", "gamma", (0.5, 2.0), True)],
)  # fmt: skip
def test_each_channel_has_a_factor_of_its_own(name, key, bounds, logarithmic):
    drawn = draw(name, 8, 8, p=0.3, **{key: list(bounds)})
    changed, factor = drawn["apply"], drawn["factor"]
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert (factor[~changed] == 1).all()
    found = factor[changed].log() if logarithmic else factor[changed]
    low, high = (torch.tensor(bounds).log() if logarithmic else torch.tensor(bounds)).tolist()
    even = (found - low) / (high - low)
    assert kstest(even.flatten().numpy(), "uniform").pvalue > LEVEL
    correlation = torch.corrcoef(even.T) - torch.eye(even.shape[1])
    assert correlation.abs().max() < 0.06
