"""Statistics of intensities, worked out by hand."""

from __future__ import annotations

import pytest
import torch

from phenoviews.errors import UserError
from phenoviews.models import build
from phenoviews.models.intensity import PER_CHANNEL, PERCENTILES, Intensity
from phenoviews.study import Study
from phenoviews.study.document import shipped, users

ENTRY = {"kind": "intensity", "stem": "standard", "width": 1.0, "batch_norm": True, "init": "random"}


def test_mean_spread_and_percentiles_of_each_channel():
    image = torch.stack([torch.arange(101.0).expand(7, 101), torch.full((7, 101), 3.0)])[None]
    found = Intensity()(image).reshape(2, PER_CHANNEL)
    assert found[0, 0].item() == pytest.approx(50)
    assert found[0, 1].item() == pytest.approx(torch.arange(101.0).std(correction=0).item())
    assert found[0, 4:].tolist() == pytest.approx([100 * share for share in PERCENTILES], abs=0.5)
    assert found[1, [0, 1]].tolist() == [3, 0]
    assert found[1, 4:].tolist() == [3] * len(PERCENTILES)


def test_where_the_light_lies():
    """In the centre, and in the four corners, of which each is at (2, 2) from the centre, in half sides of 2.5."""
    centre, corners = torch.zeros(5, 5), torch.zeros(5, 5)
    centre[2, 2] = 7
    corners[[0, 0, 4, 4], [0, 4, 0, 4]] = 2
    found = Intensity()(torch.stack([centre, corners])[None]).reshape(2, PER_CHANNEL)
    assert found[:, 2].tolist() == pytest.approx([0, 8**0.5 / 2.5])
    assert found[:, 3].tolist() == pytest.approx([0, 0], abs=1e-6)


def test_scale_and_background_move_no_light():
    torch.manual_seed(0)
    image = torch.rand(2, 3, 9, 12)
    light = Intensity()(image).reshape(2, 3, PER_CHANNEL)[..., 2:4]
    assert torch.allclose(Intensity()(5 * image - 2).reshape(2, 3, PER_CHANNEL)[..., 2:4], light, atol=1e-5)
    assert Intensity()(torch.zeros(1, 1, 4, 4)).isfinite().all()


def test_it_is_built_like_a_backbone_for_any_channels():
    for channels in (1, 3, 5):
        built = build(ENTRY, channels=channels)
        assert built(torch.rand(2, channels, 8, 8)).shape == (2, built.dim) == (2, channels * PER_CHANNEL)
        assert not list(built.parameters())


@pytest.mark.parametrize(
    ("method", "backbone"), [("simclr", "no_network"), ("untrained", "no_network"), ("intensity", "vgg13")]
)
def test_a_network_is_never_taken_for_intensities_nor_they_for_one(method, backbone):
    runs = {"dataset": "digits", "transform": "plain", "method": method, "backbone": backbone}
    table = {"title": "t", "runs": runs, "metrics": ["ami"], "clusters": 10, "rows": ["method"], "columns": ["metric"]}
    document, said = users({"panels": {"mine": {"t": table}}}, shipped(), {})
    study = Study(document, shipped(), said)
    (run, *_) = study.runs(study.panels["mine_t"])
    with pytest.raises(UserError, match="go together"):
        study.at("own").resolve(run)
