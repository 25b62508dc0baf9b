"""The class: what it takes, what it gives, and what it promises whatever the pipeline."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tests.views.test_pipelines import PIPELINES
from tests.views.torchvision_reference import noise
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from phenoviews.errors import UserError
from phenoviews.views import Transform, colour, draw, picture, resample

HALF = (0.5, 0.5, 0.5)
EVERYTHING = [
    {"random_horizontal_flip": {"p": 0.5}},
    {"pad": {"fraction": [0.0, 0.2]}},
    {"random_rotation": {"degrees": 30}},
    {"center_crop": {"fraction": 0.9}},
    {"random_affine": {"degrees": 10, "translate": [0.1, 0.1], "shear": 5, "scale": [0.9, 1.1]}},
    {"random_resized_crop": {"scale": [0.3, 1.0]}},
    {"color_jitter": {"p": 0.8, "hue_p": 0.5}},
    {"random_grayscale": {"p": 0.2}},
    {"gaussian_blur": {"p": 0.5}},
    {"random_gain": {"p": 0.5}},
    {"random_contrast": {"p": 0.5}},
    {"random_gamma": {"p": 0.5}},
    {"random_solarize": {"p": 0.5}},
    {"random_crop": {"fraction": [0.6, 1.0]}},
    {"random_invert": {"p": 0.5}},
    {"random_vertical_flip": {"p": 0.5}},
    {"random_rotate_90": {"p": 0.5}},
    {"normalize": {}},
    {"random_erasing": {"p": 0.5}},
]
ALL = {**PIPELINES, "everything": EVERYTHING}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("channels", "height", "width", "size"), [(1, 28, 28, 32), (3, 40, 30, 32), (1, 8, 8, 32)])
def test_gives_square_float_images_of_three_channels(name, channels, height, width, size):
    views = Transform(ALL[name], size, HALF, HALF)(noise(5, channels, height, width), seeded())
    assert views.shape == (5, 3, size, size)
    assert views.dtype == torch.float32
    assert views.is_contiguous()
    assert views.isfinite().all()
    assert views.abs().max() <= 1 + 1e-5  # values in [0, 1] after mean and deviation 0.5
    if channels == 1:
        assert torch.equal(views[:, 0], views[:, 2])


@pytest.mark.parametrize("name", ALL)
def test_the_generator_decides_all(name):
    transform, images = Transform(ALL[name], 32, HALF, HALF), noise(9, 3, 32)
    first, again = transform(images, seeded(3)), transform(images, seeded(3))
    assert torch.equal(first, again)
    torch.manual_seed(1)
    generator = seeded(3)
    assert torch.equal(first, transform(images, generator))
    assert not torch.equal(first, transform(images, generator))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [32, 200])
def test_images_do_not_depend_on_their_batch(name, size):
    """With the same parameters, in another order and among others; also where the batch is cut for the cache."""
    transform, images = Transform(ALL[name], size, HALF, HALF), noise(7, 3, size)
    drawn = transform.draw(7, size, size, seeded())
    together = transform.apply(images, drawn)
    order = torch.tensor([6, 2, 4])
    others = transform.apply(images[order], [{key: value[order] for key, value in one.items()} for one in drawn])
    torch.testing.assert_close(others, together[order], atol=1e-6, rtol=0)


def test_the_batch_is_cut_without_a_trace(monkeypatch):
    transform, images = Transform(EVERYTHING, 32, HALF, HALF), noise(11, 3, 40)
    drawn = transform.draw(11, 40, 40, seeded())
    whole = transform.apply(images, drawn)
    monkeypatch.setattr("phenoviews.views.CHUNK", 32 * 32 * 3)
    torch.testing.assert_close(transform.apply(images, drawn), whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ALL)
def test_the_images_are_left_alone(name):
    images = noise(4, 3, 32)
    before = images.clone()
    Transform(ALL[name], 32, HALF, HALF)(images, seeded())
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", ALL)
def test_whole_numbers_are_scaled(name):
    transform = Transform(ALL[name], 32, HALF, HALF)
    levels = torch.randint(0, 256, (6, 3, 32, 32), generator=seeded(), dtype=torch.uint8)
    expected = transform(levels.float() / 255, seeded(1))
    torch.testing.assert_close(transform(levels, seeded(1)), expected, atol=2e-5, rtol=0)
    fine = (levels.to(torch.int32) * 257).to(torch.uint16)
    torch.testing.assert_close(transform(fine, seeded(1)), expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("name", ["mnist_first", "cifar", "cell_left", "everything"])
def test_under_autocast_and_from_bfloat16(name):
    """Views are computed in float32 whatever the training's precision."""
    transform, images = Transform(ALL[name], 32, HALF, HALF), noise(6, 3, 48).bfloat16()
    expected = transform(images.float(), seeded(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        views = transform(images, seeded(1))
    assert views.dtype == torch.float32
    torch.testing.assert_close(views, expected, atol=1e-6, rtol=0)


def test_no_gradients():
    images = noise(2, 3, 32).requires_grad_()
    assert not Transform(EVERYTHING, 32, HALF, HALF)(images, seeded()).requires_grad


def test_an_empty_batch_stays_empty():
    views = Transform(EVERYTHING, 32, HALF, HALF)(torch.empty(0, 3, 40, 40), seeded())
    assert views.shape == (0, 3, 32, 32)


@pytest.mark.parametrize("name", ALL)
def test_nothing_waits_for_a_gpu(name, monkeypatch):
    """On a pretended GPU, where any value that Python would have to read raises."""
    device = torch.device("cuda", 0)
    rand = torch.rand
    pretend = SimpleNamespace(**{key: getattr(torch, key) for key in dir(torch)})
    pretend.rand = lambda *shape, generator, device: rand(*shape, device=device)
    monkeypatch.setattr(draw, "torch", pretend)
    monkeypatch.setattr(colour, "torch", pretend)
    caches = (picture.constant, resample.cosines, colour.normalising)
    try:
        with FakeTensorMode():
            images = torch.empty(4, 3, 40, 40, dtype=torch.uint8, device=device)
            views = Transform(ALL[name], 32, HALF, HALF)(images, SimpleNamespace(device=device))
            assert views.device == device
            assert views.shape == (4, 3, 32, 32)
    finally:
        for cache in caches:  # they hold pretended tensors now
            cache.cache_clear()


class Operations(TorchDispatchMode):
    """The names of all that is called."""

    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def test_a_chain_is_sampled_once():
    transform = Transform(PIPELINES["cell_left"], 32, HALF, HALF)
    with Operations() as called:
        transform(noise(4, 3, 32), seeded())
    assert called.names.count("grid_sampler_2d") == 1


@pytest.mark.parametrize(
    ("pipeline", "random"),
    [
        ([{"normalize": {}}], False),
        ([{"center_crop": {"fraction": 0.5}}, {"normalize": {}}], False),
        ([{"random_horizontal_flip": {"p": 0}}, {"color_jitter": {"p": 0}}, {"normalize": {}}], False),
        ([{"random_vertical_flip": {"p": 1}}, {"random_invert": {"p": 1}}, {"normalize": {}}], False),
        ([{"pad": {"fraction": [0.2, 0.2]}}, {"random_rotation": {"degrees": 0}}, {"normalize": {}}], False),
        ([{"random_horizontal_flip": {"p": 0.5}}, {"normalize": {}}], True),
        ([{"random_resized_crop": {}}, {"normalize": {}}], True),
        ([{"random_rotate_90": {"p": 0}}, {"normalize": {}}], False),
        ([{"random_rotate_90": {"p": 1}}, {"normalize": {}}], True),
        ([{"random_affine": {"degrees": 0, "translate": [0.1, 0], "shear": 0}}, {"normalize": {}}], True),
        ([{"normalize": {}}, {"random_erasing": {"p": 1}}], True),
    ],
)
def test_says_whether_it_is_random(pipeline, random):
    transform, images = Transform(pipeline, 32, HALF, HALF), noise(20, 3, 32)
    assert transform.random is random
    assert torch.equal(transform(images, seeded(0)), transform(images, seeded(1))) is not random


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ([{"random_rotate": {"degrees": 25}}, {"normalize": {}}], ["random_rotate", "random_rotation"]),
        ([{"random_horizontal_flip": {}}], ["0 normalize"]),
        ([], ["0 normalize"]),
        ([{"normalize": {}}, {"normalize": {}}], ["2 normalize"]),
        ([{"random_rotation": {"degree": 25}}, {"normalize": {}}], ["random_rotation", "'degree'", "degrees"]),
        ([{"normalize": {"mean": [0, 0, 0]}}], ["normalize", "'mean'"]),
        ([{"pad": {}}, {"normalize": {}}], ["pad", "fraction"]),
        ([{"random_invert": {"p": 1.5}}, {"normalize": {}}], ["random_invert", "1.5"]),
        ([{"random_invert": {"p": "often"}}, {"normalize": {}}], ["random_invert"]),
        ([{"random_rotate_90": {"p": -0.1}}, {"normalize": {}}], ["random_rotate_90", "p -0.1"]),
        ([{"pad": {"fraction": [0.4, 0.1]}}, {"normalize": {}}], ["pad", "0.4"]),
        ([{"color_jitter": {"hue": 0.6}}, {"normalize": {}}], ["color_jitter", "hue", "0.6"]),
        ([{"gaussian_blur": {"p": 1, "kernel_size": 4}}, {"normalize": {}}], ["gaussian_blur", "4", "odd"]),
        ([{"random_resized_crop": {"interpolation": "nearest"}}, {"normalize": {}}], ["nearest", "bicubic"]),
        ([{"random_invert": {"p": 1}, "normalize": {}}], ["one operation"]),
        (["normalize"], ["one operation"]),
    ],
)
def test_a_wrong_pipeline_is_refused_in_one_line(pipeline, words):
    with pytest.raises(UserError) as caught:
        Transform(pipeline, 32, HALF, HALF)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


@pytest.mark.parametrize("std", [(1, 1, 0), (1, 1)])
def test_a_wrong_normalisation_is_refused(std):
    with pytest.raises(UserError, match="std"):
        Transform([{"normalize": {}}], 32, HALF, std)


@pytest.mark.parametrize(
    "images", [torch.zeros(2, 4, 32, 32), torch.zeros(3, 32, 32), torch.zeros(2, 3, 32, 32, dtype=torch.int64)]
)
def test_wrong_images_are_refused(images):
    with pytest.raises(UserError, match="views need"):
        Transform([{"normalize": {}}], 32, HALF, HALF)(images, seeded())
