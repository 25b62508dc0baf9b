from __future__ import annotations

import warnings

import lpips
import numpy as np
import pandas as pd
import pytest
import torch
import torchvision

from phenoviews.data import Images, write
from phenoviews.data.images import white
from phenoviews.data.pool import Resident, pool
from phenoviews.errors import UserError
from phenoviews.measures.perceptual import distance, network, pairs, signed
from phenoviews.study.metrics import measured


@pytest.fixture(scope="module")
def alexnet():
    torch.manual_seed(0)
    return torchvision.models.alexnet(weights=None)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.rand(6, 3, 32, 32, generator=generator) * 2 - 1 for _ in range(2))


def test_equals_the_package_with_the_same_alexnet(alexnet, images, monkeypatch):
    """The package builds its own network on the same weights: trunk, calibrated heads and scaling are its doing."""
    monkeypatch.setattr(lpips.pretrained_networks.tv, "alexnet", lambda pretrained: alexnet)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = lpips.LPIPS(net="alex", version="0.1", verbose=False)
    upsampled = [torch.nn.functional.interpolate(x, (64, 64), mode="bilinear") for x in images]
    with torch.no_grad():
        each = reference(*upsampled).flatten()
    monkeypatch.undo()
    batches = [tuple(x[:4] for x in images), tuple(x[4:] for x in images)]
    found = distance(batches, alexnet.state_dict(), RGB).set_index("metric")["value"]
    assert sorted(found.index) == sorted(measured("lpips"))
    assert found["lpips"] == pytest.approx(each.mean().item(), rel=1e-5)
    assert found["lpips_sd"] == pytest.approx(each.std().item(), rel=1e-4)
    assert found["lpips"] > 0


RGB = [[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]]


def mean(*pairs, alexnet, composites=RGB) -> float:
    return distance(pairs, alexnet.state_dict(), composites).set_index("metric").at["lpips", "value"]


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_of_channels_one_by_one_it_is_the_mean_over_each_as_a_grey_image(alexnet, channels):
    torch.manual_seed(2)
    first, second = torch.rand(2, 4, channels, 32, 32) * 2 - 1
    each = [
        mean((one.expand(-1, 3, -1, -1), other.expand(-1, 3, -1, -1)), alexnet=alexnet)
        for one, other in zip(first.split(1, 1), second.split(1, 1), strict=True)
    ]
    alone = [[[float(other == one)] * 3 for other in range(channels)] for one in range(channels)]
    found = mean((first, second), alexnet=alexnet, composites=alone)
    assert found == pytest.approx(sum(each) / channels, rel=1e-5)


def test_channels_that_are_mapped_are_the_colours_that_they_are_mapped_to(alexnet):
    """Of four channels the fourth is red, the first blue, and the others are not seen."""
    torch.manual_seed(3)
    first, second = torch.rand(2, 4, 4, 32, 32) * 2 - 1
    mapped = [[[0.0, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]]]
    found = mean((first, second), alexnet=alexnet, composites=mapped)
    by_hand = [torch.stack([x[:, 3], torch.full_like(x[:, 0], -1), x[:, 0]], dim=1) for x in (first, second)]
    assert found == pytest.approx(mean(tuple(by_hand), alexnet=alexnet), rel=1e-5)
    second[:, [1, 2]] = 0.3
    assert mean((first, second), alexnet=alexnet, composites=mapped) == pytest.approx(found, rel=1e-6)


def test_a_composite_is_as_bright_as_a_picture_can_be(alexnet):
    """Two channels that are both grey add up to white where both are bright, and no brighter."""
    bright, white = torch.full((1, 2, 32, 32), 0.6), torch.ones(1, 3, 32, 32)
    black = -torch.ones(1, 2, 32, 32)
    both = [[[1.0] * 3] * 2]
    assert mean((bright, black), alexnet=alexnet, composites=both) == pytest.approx(
        mean((white, -white), alexnet=alexnet), rel=1e-5
    )


def test_one_image_has_no_spread(alexnet, images):
    found = distance([tuple(x[:1] for x in images)], alexnet.state_dict(), RGB).set_index("metric")
    assert found.at["lpips", "value"] > 0
    assert found.at["lpips_sd", "reason"] == "one image has no spread"


def test_an_image_is_no_distance_from_itself_and_the_order_of_two_does_not_matter(alexnet, images):
    first, second = images
    apart = mean((first, second), alexnet=alexnet)
    assert mean((first, first), alexnet=alexnet) == 0
    assert mean((second, first), alexnet=alexnet) == pytest.approx(apart)
    assert mean((first, first + 0.3 * (second - first)), alexnet=alexnet) < apart


def test_nothing_is_printed_nor_warned_at_construction(alexnet, capfd, recwarn):
    model = network(alexnet.state_dict())
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_the_classifier_is_not_needed(alexnet):
    features = {name: value for name, value in alexnet.state_dict().items() if name.startswith("features.")}
    network(features)


@pytest.mark.parametrize("model", [torchvision.models.resnet18, torchvision.models.vgg11])
def test_another_networks_weights_are_refused(model):
    with pytest.raises(UserError, match="not torchvision's AlexNet"):
        network(model(weights=None).state_dict())


def test_no_images_and_nan_are_refused(alexnet):
    state = alexnet.state_dict()
    with pytest.raises(UserError, match="no images"):
        distance([], state, RGB)
    bad = torch.full((2, 3, 32, 32), torch.nan)
    with pytest.raises(UserError, match="not finite"):
        distance([(bad, bad)], state, RGB)


def test_signed_undoes_the_normalisation():
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    plain = torch.rand(2, 3, 8, 8)
    normalised = torchvision.transforms.functional.normalize(plain, mean, std)
    torch.testing.assert_close(signed(normalised, mean, std), plain * 2 - 1)


SHOWN = {"size": 16, "mean": (0.5, 0.4, 0.3), "std": (0.5, 0.6, 0.7)}
NORMALIZE = {"normalize": {}}
INVERT = [{"random_invert": {"p": 1.0}}, NORMALIZE]
CROP = [{"random_resized_crop": {"scale": [0.2, 0.6]}}, NORMALIZE]


def views(pipeline, pair="views", seed=0, batch=4):
    pictures = torch.randint(0, 256, (6, 3, 16, 16), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    batches = list(pairs(Resident(pictures), SHOWN, [{"views": pipeline}], pair, seed, batch))
    first, second = (torch.cat(half) for half in zip(*batches, strict=True))
    return pictures.float() / 127.5 - 1, first, second


def test_an_original_is_paired_with_its_view():
    signed_pictures, original, view = views([INVERT, INVERT], "original_view")
    torch.testing.assert_close(original, signed_pictures)
    torch.testing.assert_close(view, -signed_pictures)


def test_two_views_are_drawn_independently_and_by_the_seed():
    _, first, second = views([CROP, CROP])
    assert first.shape == second.shape == (6, 3, 16, 16)
    assert all(not torch.equal(a, b) for a, b in zip(first, second, strict=True))
    _, again, _ = views([CROP, CROP])
    _, other, _ = views([CROP, CROP], seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_each_view_has_its_own_pipeline():
    signed_pictures, first, second = views([[NORMALIZE], INVERT])
    torch.testing.assert_close(first, signed_pictures)
    torch.testing.assert_close(second, -signed_pictures)


def test_images_of_a_dark_camera_are_as_far_apart_as_the_same_ones_brighter(alexnet, tmp_path):
    """A camera of 16 bits fills a hundredth of them, in one channel less than in the other. Seen against the highest
    value that there could be, all its images are the same black."""
    bright = np.random.default_rng(0).integers(0, 60_000, (6, 16, 16, 2), dtype=np.uint16)
    index = pd.DataFrame({"split": ["train", "test", "test"] * 2, "label": 0, "class": "cell", "source": "camera"})
    alone = [[[1.0] * 3, [0.0] * 3], [[0.0] * 3, [1.0] * 3]]
    shown = {"size": 16, "mean": (0.01, 0.002), "std": (0.01, 0.002)}

    def found(name: str, pixels: np.ndarray, scaled: bool = True) -> float:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        write(folder / "images.npy", folder / "index.parquet", pixels, index)
        images = Images.open(folder)
        of = {"white": white(images, "test")} if scaled else {}
        some = pairs(pool(images, "test", torch.device("cpu")), shown, [{"views": [CROP, CROP]}], "views", 0, **of)
        return distance(some, alexnet.state_dict(), alone).set_index("metric").at["lpips", "value"]

    dark = (bright // np.array([100, 400])).astype(np.uint16)
    assert found("dark", dark) == pytest.approx(found("bright", bright), rel=0.03)
    assert found("dark", dark, scaled=False) < 0.05 * found("bright", bright)
