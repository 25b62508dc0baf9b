"""Each geometric operation alone against torchvision's, at the same parameters, image by image."""

from __future__ import annotations

import pytest
import torch
from tests.views.torchvision_reference import noise, one_by_one, photographs, single

from phenoviews.views import Transform
from phenoviews.views.geometry import RandomRotate90
from phenoviews.views.resample import Gridded, Separable, heat

SIZES = (32, 96, 196, 224)

TURN, SHEAR = {"random_rotation": {"degrees": 180}}, {"random_affine": {"degrees": 20}}
HALF, DOUBLE = {"center_crop": {"fraction": 0.5}}, {"pad": {"fraction": [0.5, 0.5]}}
FLIP = {"random_horizontal_flip": {"p": 0.5}}
CROP = {"random_resized_crop": {"scale": [0.08, 1.0], "ratio": [0.4, 2.5]}}
CUBIC = {"random_resized_crop": {"scale": [0.08, 1.0], "interpolation": "bicubic"}}
QUARTER = {"random_rotate_90": {"p": 0.8}}

ALONE = {
    "horizontal_flip": ("random_horizontal_flip", {"p": 0.5}),
    "vertical_flip": ("random_vertical_flip", {"p": 0.5}),
    "quarter_turns": ("random_rotate_90", {"p": 0.8}),
    "rotation": ("random_rotation", {"degrees": 180}),
    "affine": ("random_affine", {"degrees": 20, "translate": [0.1, 0.2], "shear": 10, "scale": [0.8, 1.2]}),
    "crop_bilinear": ("random_resized_crop", {"scale": [0.08, 1.0]}),
    "crop_bicubic": ("random_resized_crop", {"scale": [0.08, 1.0], "interpolation": "bicubic"}),
    "crop_above_one": ("random_resized_crop", {"scale": [0.9, 1.1], "ratio": [0.9, 1.1]}),
    "crop_by_fraction": ("random_crop", {"fraction": [0.5, 0.9]}),
    "center_crop": ("center_crop", {"fraction": 0.5}),
}


def check(transform, images, tolerance):
    drawn = transform.draw(*images[:, 0].shape, torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        transform.apply(images, drawn), one_by_one(transform, images, drawn), atol=tolerance, rtol=0
    )
    return drawn


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("case", ALONE)
def test_equals_torchvision(case, channels, size):
    name, parameters = ALONE[case]
    n = 12 if size < 100 else 2
    check(single(name, size, **parameters), noise(n, channels, size), 1e-5 * size / 8)


@pytest.mark.parametrize("case", ["crop_bilinear", "crop_bicubic", "crop_by_fraction", "center_crop"])
@pytest.mark.parametrize(("height", "width", "size"), [(150, 150, 32), (28, 28, 32), (8, 8, 32), (40, 70, 32)])
def test_crops_resize_as_torchvision_does(case, height, width, size):
    """Up and down, anti-aliased, and from images that are not square."""
    name, parameters = ALONE[case]
    check(single(name, size, **parameters), noise(12, 3, height, width), 2e-5)


@pytest.mark.parametrize(("height", "width", "size"), [(8, 8, 32), (28, 28, 32), (100, 60, 32), (50, 50, 64)])
def test_the_implied_resize_is_torchvisions(height, width, size):
    check(single("random_invert", size, p=0.5), noise(4, 1, height, width), 1e-5)


@pytest.mark.parametrize("case", ["rotation", "affine"])
def test_turning_images_that_are_not_square(case):
    """Then resized: up, so that torchvision's second interpolation blurs little."""
    name, parameters = ALONE[case]
    images = photographs(6, 3, 96, 128)
    transform = single(name, 128, **parameters)
    drawn = transform.draw(6, 96, 128, torch.Generator().manual_seed(1))
    difference = (transform.apply(images, drawn) - one_by_one(transform, images, drawn)).abs()
    assert difference.mean() < 0.01


def turned_by(*turns):
    """A view that is turned, and what it drew: images turned by 0, 90, 180 and 270 degrees."""
    return [{"turns": torch.tensor(turns, dtype=torch.float32)}, {}]


@pytest.mark.parametrize("size", [32, 33, 96])
def test_quarter_turns_are_rot90(size):
    """Counter-clockwise; and pixels stay pixels."""
    images = noise(4, 3, size)
    ours = single("random_rotate_90", size).apply(images, turned_by(0, 1, 2, 3))
    expected = torch.stack([image.rot90(k, (1, 2)) for k, image in enumerate(images)])
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width", "size"), [(40, 24, 20), (24, 41, 48), (100, 60, 32)])
def test_quarter_turns_of_images_that_are_not_square(height, width, size):
    """Height and width change places, then the resize, down and up, as torchvision has it."""
    images, drawn = noise(4, 3, height, width), turned_by(0, 1, 2, 3)
    transform = single("random_rotate_90", size)
    torch.testing.assert_close(transform.apply(images, drawn), one_by_one(transform, images, drawn), atol=2e-5, rtol=0)
    assert RandomRotate90().after(drawn[0], torch.tensor([[3.0, 5.0]] * 4), size).tolist() == [[3, 5], [5, 3]] * 2


@pytest.mark.parametrize(
    "chain", ["crop turn", "turn crop", "turn crop turn", "crop flip turn", "cubic turn", "half turn"]
)
@pytest.mark.parametrize(("height", "width", "size"), [(32, 32, 32), (40, 24, 48), (96, 70, 32)])
def test_crops_with_quarter_turns_equal_torchvision(chain, height, width, size):
    """Interpolated once there too: boxes that are not square, sampled on a grid or by rows and columns."""
    steps = {"crop": CROP, "turn": QUARTER, "flip": FLIP, "cubic": CUBIC, "half": HALF}
    pipeline = [*(steps[step] for step in chain.split()), {"normalize": {}}]
    check(Transform(pipeline, size, (0, 0, 0), (1, 1, 1)), noise(16, 3, height, width), 4e-5)


@pytest.mark.parametrize("size", [32, 96])
def test_padding(size):
    """Zeros of equal width on all sides, in whole pixels, then the resize, here down: close to torchvision's."""
    transform = single("pad", size, fraction=[0.1, 0.4])
    images = photographs(8, 3, size)
    drawn = transform.draw(8, size, size, torch.Generator().manual_seed(1))
    ours, theirs = transform.apply(images, drawn), one_by_one(transform, images, drawn)
    assert (ours - theirs).abs().mean() < 0.015
    for image, padding in zip(ours, drawn[0]["padding"], strict=True):
        edge = round((padding / (size + 2 * padding) * size).item())
        blurred = slice(edge - 2, edge + 2)  # by the resize
        for side in (image, image.flip(1), image.mT, image.mT.flip(1)):
            assert not side[:, : blurred.start].any()
            assert (side[:, blurred.stop, size // 2] > 0).any()


@pytest.mark.parametrize(
    ("chain", "side", "size", "rim"),
    [
        ([DOUBLE, TURN], 32, 64, 0.0),
        ([FLIP, DOUBLE, SHEAR, HALF], 32, 32, 0.0),
        ([HALF, DOUBLE], 64, 64, 0.0),
        ([HALF, FLIP], 65, 32, 0.0),
        ([HALF, TURN], 64, 32, 0.12),
        ([HALF, SHEAR, FLIP], 65, 32, 0.12),
        ([HALF, FLIP, DOUBLE, TURN], 64, 64, 0.05),
        ([QUARTER, DOUBLE, TURN], 32, 64, 0.0),
        ([DOUBLE, TURN, QUARTER, FLIP], 32, 64, 0.0),
        ([HALF, QUARTER, SHEAR, QUARTER], 65, 32, 0.12),
    ],
)
def test_chains_that_interpolate_once_equal_torchvision(chain, side, size, rim):
    """What a crop left out is not seen again, whatever is padded or turned into its place.

    The exception is a rim, one pixel wide, about a crop that is turned: torchvision sees nothing there, we a little as
    it fades out; the white surrounding shows how much.
    """
    transform = Transform([*chain, {"normalize": {}}], size, (0, 0, 0), (1, 1, 1))
    images, drawn = noise(8, 3, side), transform.draw(8, side, side, torch.Generator().manual_seed(1))
    difference = (transform.apply(images, drawn) - one_by_one(transform, images, drawn)).abs()
    assert (difference > 1e-4).float().mean() <= rim
    if rim:
        images = torch.ones(8, 3, side, side)
        images[:, :, side // 4 : -(side // 4), side // 4 : -(side // 4)] = 0
        assert transform.apply(images, drawn).max() < 0.4


def test_a_crop_does_not_see_beyond_its_edge():
    """A bright surrounding must not leak into the crop; torchvision repeats the crop's edge."""
    images = torch.ones(1, 3, 64, 64)
    images[:, :, 16:48, 16:48] = 0.25
    drawn = [{"corner": torch.tensor([[16.0, 16.0]]), "sides": torch.tensor([[32.0, 32.0]])}, {}]
    for interpolation in ("bilinear", "bicubic"):
        transform = single("random_resized_crop", 64, interpolation=interpolation)
        torch.testing.assert_close(transform.apply(images, drawn), torch.full((1, 3, 64, 64), 0.25))


def test_what_a_rotation_cut_off_stays_cut_off():
    """A second turn back must not bring the corners of a white square back."""
    pipeline = [{"random_rotation": {"degrees": 45}}, {"random_affine": {"degrees": 45, "shear": 0}}, {"normalize": {}}]
    transform = Transform(pipeline, 64, (0, 0, 0), (1, 1, 1))
    zero = torch.zeros(1)
    drawn = [
        {"angle": torch.full((1,), 45.0)},
        {"angle": torch.full((1,), 45.0), "shift": torch.zeros(1, 2), "scale": zero + 1, "shear": zero},
        {},
    ]
    ours = transform.apply(torch.ones(1, 3, 64, 64), drawn)
    torch.testing.assert_close(ours, one_by_one(transform, torch.ones(1, 3, 64, 64), drawn), atol=0.3, rtol=0)
    assert ours[0, :, 2, 2].abs().max() < 1e-6
    assert ours[0, :, 32, 32].min() > 1 - 1e-6


def test_one_resampling_per_run_of_geometry():
    """Also over colour operations that do not mind flips; but what a resize has ended is turned by a second one."""

    def plans(*names):
        parameters = {
            "gaussian_blur": {"p": 1},
            "random_affine": {"degrees": 20},
            "pad": {"fraction": [0.1, 0.2]},
            "random_erasing": {"p": 1},
        }
        entries = [{name: parameters.get(name, {})} for name in (*names, "normalize")]
        transform = Transform(entries, 32, (0, 0, 0), (1, 1, 1))
        drawn = transform.draw(2, 40, 40, torch.Generator())
        plans = transform._prepare(torch.zeros(2, 3, 40, 40), drawn)
        return [type(plan) for plan in plans if isinstance(plan, Gridded | Separable)]

    flips = ("random_horizontal_flip", "random_vertical_flip")
    assert plans("random_rotation", "random_affine", "random_resized_crop", "color_jitter", *flips) == [Gridded]
    assert plans("random_resized_crop", "color_jitter", *flips) == [Separable]
    assert plans("pad", "random_rotation", "center_crop", "random_horizontal_flip") == [Gridded]
    assert plans("random_resized_crop", "random_horizontal_flip", "random_rotate_90", "color_jitter") == [Separable]
    assert plans("random_resized_crop", "color_jitter", "random_rotate_90", "gaussian_blur") == [Separable]
    assert plans("random_rotate_90", "random_rotation", "random_rotate_90") == [Gridded]
    assert plans("random_resized_crop", "random_rotation") == [Separable, Gridded]
    assert plans("random_resized_crop", "random_erasing", "random_horizontal_flip") == [Separable, Gridded]


def test_turning_after_a_resize_equals_torchvision():
    pipeline = [{"random_resized_crop": {}}, {"random_rotation": {"degrees": 90}}, {"normalize": {}}]
    check(Transform(pipeline, 48, (0, 0, 0), (1, 1, 1)), noise(6, 3, 60), 1e-4)


@pytest.mark.parametrize("variance", [0.0, 0.1, 0.5, 3.0])
def test_smoothing_has_the_variance_asked_for(variance):
    kernel = heat(41, torch.tensor([variance]))[0, 20]
    at = torch.arange(41) - 20.0
    torch.testing.assert_close(kernel.sum(), torch.tensor(1.0))
    torch.testing.assert_close((kernel * at**2).sum(), torch.tensor(variance), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("degrees", [0.0, 30.0])
def test_a_shrinking_chain_with_rotation_does_not_alias(degrees):
    """A fine checkerboard, shrunk five times, must become grey, as it does with torchvision's anti-aliasing."""
    board = (torch.arange(160)[:, None] + torch.arange(160)).remainder(2).float().expand(4, 3, 160, 160)
    transform = single("random_rotation", 32, degrees=degrees)
    drawn = transform.draw(4, 160, 160, torch.Generator().manual_seed(3))
    middle = transform.apply(board, drawn)[:, :, 10:22, 10:22]
    assert (middle - 0.5).abs().max() < 0.05


@pytest.mark.parametrize("side", [60, 160])
def test_a_shrinking_chain_with_rotation_is_close_to_torchvision(side):
    images = photographs(6, 3, side)
    transform = Transform([TURN, {"random_crop": {"fraction": [0.6, 1.0]}}, {"normalize": {}}], 32, (0,) * 3, (1,) * 3)
    drawn = transform.draw(6, side, side, torch.Generator().manual_seed(1))
    ours, theirs = transform.apply(images, drawn), one_by_one(transform, images, drawn)
    assert (ours - theirs).abs().mean() < 0.01
