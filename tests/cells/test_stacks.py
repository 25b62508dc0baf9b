"""Files of several channels and several planes."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

from phenoviews.cells.source import PLANES, Source
from phenoviews.cells.stacks import brightest, channel, sharpest, unpacked
from phenoviews.errors import UserError

STACK = np.random.default_rng(0).integers(0, 4000, (3, 4, 20, 30), np.uint16)  # planes, channels


def tiff(array, **more) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, array, **more)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        tiff(STACK, ome=True, metadata={"axes": "ZCYX"}),
        tiff(STACK.transpose(1, 0, 2, 3), ome=True, metadata={"axes": "CZYX"}),
        tiff(STACK, imagej=True, metadata={"axes": "ZCYX"}),
        tiff(STACK[None], ome=True, metadata={"axes": "TZCYX"}),
    ],
    ids=["OME", "OME, channels outside", "ImageJ", "of one time"],
)
def test_one_channel_and_its_projection(data):
    for index in range(4):
        found = channel(*unpacked(data), index, "max")
        np.testing.assert_array_equal(found, STACK[:, index].max(axis=0))


def test_a_file_of_channels_alone_and_one_of_planes_alone():
    np.testing.assert_array_equal(
        channel(*unpacked(tiff(STACK[0], ome=True, metadata={"axes": "CYX"})), 2, None), STACK[0, 2]
    )
    np.testing.assert_array_equal(
        channel(*unpacked(tiff(STACK[:, 0], ome=True, metadata={"axes": "ZYX"})), None, "max"), STACK[:, 0].max(axis=0)
    )


def test_pages_of_which_nothing_is_known_are_what_they_are_asked_for_as():
    data = tiff(STACK[:, 0], photometric="minisblack", metadata=None)
    np.testing.assert_array_equal(channel(*unpacked(data), 1, None), STACK[1, 0])
    np.testing.assert_array_equal(channel(*unpacked(data), None, "max"), STACK[:, 0].max(axis=0))


def test_pages_that_pillow_compressed():
    """LZW, for which tifffile wants a further package."""
    pages, stream = [Image.fromarray(page) for page in STACK[:, 0]], io.BytesIO()
    pages[0].save(stream, "tiff", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    np.testing.assert_array_equal(channel(*unpacked(stream.getvalue()), 2, None), STACK[2, 0])


@pytest.mark.parametrize(
    ("data", "index", "project", "said"),
    [
        (tiff(STACK, ome=True, metadata={"axes": "ZCYX"}), 4, "max", "it has 4 channels, and number 4 from 0 on"),
        (tiff(STACK, ome=True, metadata={"axes": "ZCYX"}), 0, None, "it holds 3 planes; .*`project: max`"),
        (tiff(STACK[0], ome=True, metadata={"axes": "CYX"}), None, "max", "it holds 4 channels; give the places"),
        (tiff(STACK[:, 0], ome=True, metadata={"axes": "TYX"}), 0, "max", "it holds 3 times; keep one time"),
        (tiff(STACK[:, 0], photometric="minisblack", metadata=None), None, None, "it holds 3 pages; give `channels`"),
        (tiff(STACK.astype(np.float32), ome=True, metadata={"axes": "ZCYX"}), 0, "max", "its values are float32"),
    ],
)
def test_what_is_not_asked_for_is_refused(data, index, project, said):
    with pytest.raises(ValueError, match=said):
        channel(*unpacked(data), index, project)


def test_the_sharpest_plane_is_the_one_in_focus():
    sharp = np.random.default_rng(1).poisson(400, (40, 50)).astype(float) * 5
    planes = np.stack([gaussian_filter(sharp, sigma) for sigma in (3, 1, 0, 2)]).astype(np.uint16)
    np.testing.assert_array_equal(sharpest(planes), planes[2])
    np.testing.assert_array_equal(sharpest(planes * np.array([4, 1, 1, 1])[:, None, None] // 2), planes[2] // 2)
    np.testing.assert_array_equal(brightest(planes), planes.max(axis=0))


def test_a_source_reads_channels_of_one_file_and_planes_of_several(tmp_path):
    tifffile.imwrite(tmp_path / "s.ome.tif", STACK, ome=True, metadata={"axes": "ZCYX"})
    row = {"Metadata_Field": "f", "Image_DNA": "s.ome.tif", "Index_DNA": 1, "Image_ER": "s.ome.tif", "Index_ER": 3}
    with Source.open(tmp_path, "max") as source:
        ((_, image),) = source.fields(pd.DataFrame([row]), ["ER", "DNA"])
    np.testing.assert_array_equal(image, STACK.max(axis=0)[[3, 1]])

    for plane in range(3):
        tifffile.imwrite(tmp_path / f"p{plane}.tif", STACK[plane, 0])
    with Source.open(tmp_path, "max") as source:
        found = source.read(PLANES.join(f"p{plane}.tif" for plane in range(3)))
    np.testing.assert_array_equal(found, STACK[:, 0].max(axis=0))


def test_a_broken_stack_is_named(tmp_path):
    (tmp_path / "s.tif").write_bytes(tiff(STACK, ome=True, metadata={"axes": "ZCYX"})[:5000])
    with Source.open(tmp_path, "max") as source, pytest.raises(UserError, match=r"s\.tif: cannot be read"):
        source.read("s.tif", 0)


def test_colours_of_a_picture_are_channels_where_they_are_asked_for(tmp_path):
    picture = np.random.default_rng(2).integers(0, 255, (5, 6, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "p.png")
    tifffile.imwrite(tmp_path / "p.tif", picture, photometric="rgb")
    for name in ("p.png", "p.tif"):
        with Source.open(tmp_path) as source:
            np.testing.assert_array_equal(source.read(name, 1), picture[..., 1])
            with pytest.raises(UserError, match="3 channels"):
                source.read(name)
