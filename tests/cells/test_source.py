"""Images of a plate in a zip and in a folder: found, read, and refused where they are not what they should be."""

from __future__ import annotations

import io
import stat
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from phenoviews.cells import screen
from phenoviews.cells.source import Source
from phenoviews.errors import UserError

CHANNELS = ["DNA", "tubulin"]


def tiff(image: np.ndarray, **how: object) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, image, **how)
    return stream.getvalue()


def picture(seed: int, shape=(30, 40), dtype=np.uint16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype)


PICTURES = [picture(seed) for seed in range(4)]
NAMES = ["P1/B02_s1_w1.tif", "P1/B02_s1_w2.tif", "P1/B03_s1_w1.tif", "P1/B03_s1_w2.tif"]
FILES = dict(zip(NAMES, map(tiff, PICTURES), strict=True))
TABLE = pd.DataFrame(
    {
        "Metadata_Field": ["B02_s1_w1", "B03_s1_w1"],
        "Metadata_Well": ["B02", "B03"],
        "Image_DNA": NAMES[::2],
        "Image_tubulin": NAMES[1::2],
    }
)


def archive(folder: Path, files: dict[str, bytes], name: str = "plate.zip") -> Path:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, data in files.items():
            archive.writestr(member, data)
    return folder / name


def tree(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(params=[archive, tree], ids=["zip", "folder"])
def make(request, tmp_path):
    return lambda files: request.param(tmp_path, files)


def refused(path: Path, table: pd.DataFrame = TABLE) -> str:
    """The error of a plate, and how many fields came before it."""
    with Source.open(path) as source, pytest.raises(UserError) as caught:
        list(source.fields(table, CHANNELS))
    return str(caught.value)


def test_fields_are_the_stored_values_in_the_channels_order(make):
    with Source.open(make(FILES)) as source:
        for channels, order in ((CHANNELS, [0, 1]), (CHANNELS[::-1], [1, 0])):
            found = list(source.fields(TABLE, channels))
            assert [row["Metadata_Well"] for row, _ in found] == ["B02", "B03"]
            for number, (_, images) in enumerate(found):
                assert images.shape == (2, 30, 40)
                assert images.dtype == np.uint16
                np.testing.assert_array_equal(images, np.stack([PICTURES[2 * number + at] for at in order]))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_depth_is_kept(make, dtype):
    image = picture(5, dtype=dtype)
    with Source.open(make({"a.png" if dtype == np.uint8 else "a.tif": encoded(image)})) as source:
        found = source.read("a.png" if dtype == np.uint8 else "a.tif")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image)


def encoded(image: np.ndarray) -> bytes:
    from PIL import Image

    if image.dtype == np.uint16:
        return tiff(image)
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("inside", ["P1/", "Week1/P1/", "", "other/", "./P1/", "P1\\"])
def test_archive_with_another_folder(tmp_path, inside):
    """The real archives hold Week1_22123/…, others are packed with more folders around or with none."""
    files = {inside + name.removeprefix("P1/"): data for name, data in FILES.items()}
    files["__MACOSX/P1/._B02_s1_w1.tif"] = b"resource fork"
    with Source.open(archive(tmp_path, files)) as source:
        np.testing.assert_array_equal(source.read(NAMES[0]), PICTURES[0])


def test_plate_folder_decides_between_equal_names(tmp_path):
    files = {"a/P1/x.tif": tiff(PICTURES[0]), "a/P2/x.tif": tiff(PICTURES[1])}
    with Source.open(archive(tmp_path, files)) as source:
        np.testing.assert_array_equal(source.read("P2/x.tif"), PICTURES[1])
        np.testing.assert_array_equal(source.read("a/P1/x.tif"), PICTURES[0])
        with pytest.raises(UserError, match=r"plate\.zip: P3/x\.tif could be any of a/P1/x\.tif, a/P2/x\.tif"):
            source.read("P3/x.tif")


def test_member_that_is_there_twice_is_ambiguous(tmp_path):
    with zipfile.ZipFile(tmp_path / "plate.zip", "w") as twice:
        twice.writestr("P1/x.tif", tiff(PICTURES[0]))
        with pytest.warns(UserWarning, match="Duplicate"):
            twice.writestr("P1/x.tif", tiff(PICTURES[1]))
    with Source.open(tmp_path / "plate.zip") as source, pytest.raises(UserError, match="could be any of"):
        source.read("P1/x.tif")


@pytest.mark.parametrize(
    "name", ["/etc/cron.d/x", "../x.tif", "P1/../../x.tif", "C:\\x.tif", "..\\x.tif", "\\x.tif", "C:x.tif"]
)
def test_archive_with_a_path_outside_is_refused_whole(tmp_path, name):
    path = archive(tmp_path, FILES | {name: b""})
    with pytest.raises(UserError, match=r"plate\.zip: the member .* lies outside its folder; the archive is refused"):
        Source.open(path)
    assert [path.name for path in tmp_path.iterdir()] == ["plate.zip"]


def test_archive_with_a_link_is_refused_whole(tmp_path):
    link = zipfile.ZipInfo("P1/link.tif")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive(tmp_path, FILES), "a") as more:
        more.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match=r"'P1/link\.tif' is a link; the archive is refused"):
        Source.open(tmp_path / "plate.zip")


def test_names_with_dots_are_not_outside(tmp_path):
    with Source.open(archive(tmp_path, {"P1/a..b.tif": FILES[NAMES[0]]})) as source:
        assert source.read("P1/a..b.tif").shape == (30, 40)


@pytest.mark.parametrize("keep", [0, 4, 100, 2000])
def test_truncated_image_is_named_with_its_archive(make, keep):
    message = refused(make(FILES | {NAMES[2]: FILES[NAMES[2]][:keep]}))
    assert NAMES[2] in message
    assert "cannot be read" in message
    assert "plate.zip" in message or message.startswith("/")


def test_fields_before_a_bad_one_come(make):
    source = Source.open(make(FILES | {NAMES[3]: b"no image"}))
    fields = source.fields(TABLE, CHANNELS)
    assert next(fields)[1].shape == (2, 30, 40)
    with pytest.raises(UserError, match="B03_s1_w2"):
        next(fields)


def test_spoilt_member_is_noticed_by_its_crc(tmp_path):
    path = archive(tmp_path, FILES)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as whole:
        data[whole.getinfo(NAMES[0]).header_offset + 200] ^= 255
    path.write_bytes(data)
    message = refused(path)
    assert f"plate.zip: {NAMES[0]}: cannot be read" in message


@pytest.mark.parametrize("data", [b"", b"<html>", "half"])
def test_archive_that_is_none(tmp_path, data):
    path = archive(tmp_path, FILES)
    path.write_bytes(path.read_bytes()[:2000] if data == "half" else data)
    with pytest.raises(UserError, match=r"plate\.zip: not a whole zip archive .*delete it to download it anew"):
        Source.open(path)


def test_no_archive_and_no_folder(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: no such archive or folder"):
        Source.open(tmp_path / "nowhere")


def test_missing_channel_file(make):
    message = refused(make({name: data for name, data in FILES.items() if name != NAMES[1]}))
    assert NAMES[1] in message
    assert "has no image" in message or "no such image" in message


def test_field_without_a_channel(make):
    """A table made from a folder has "" where a file was missing."""
    message = refused(make(FILES), TABLE.assign(Image_tubulin=[NAMES[1], ""]))
    assert "B03_s1_w1 has no image of the channel tubulin" in message


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (picture(9, (40, 30)), "30x40 pixels of 16 bits where P1/B02_s1_w1.tif has 40x30 pixels of 16 bits"),
        (picture(9, dtype=np.uint8), "40x30 pixels of 8 bits where"),
        (picture(9, (30, 40, 3)), "has 3 channels; a screen has one grey image file for each channel"),
        (np.zeros((30, 40), np.float32), "its values are float32"),
        (np.zeros((3, 30, 40), np.uint16), "cannot be read"),
    ],
)
def test_image_of_another_kind(make, image, said):
    message = refused(
        make(FILES | {NAMES[3]: tiff(image, photometric="rgb" if image.shape[-1] == 3 else "minisblack")})
    )
    assert NAMES[3] in message
    assert said in message


def test_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("phenoviews.cells.source.LARGEST", 1 << 20)
    path = archive(tmp_path, {"P1/x.tif": bytes(1 << 26)})
    assert path.stat().st_size < 1 << 19
    tracemalloc.start()
    with Source.open(path) as source, pytest.raises(UserError, match=r"P1/x\.tif: cannot be read \(it would unpack to"):
        source.read("P1/x.tif")
    assert tracemalloc.get_traced_memory()[1] < 1 << 22
    tracemalloc.stop()


def test_one_field_in_memory_at_a_time(tmp_path):
    image = tiff(picture(0, (500, 500)))
    names = [f"P1/{number}.tif" for number in range(30)]
    table = pd.DataFrame({"Metadata_Field": names, "Image_DNA": names})
    path = archive(tmp_path, dict.fromkeys(names, image))
    tracemalloc.start()
    with Source.open(path) as source:
        for _ in source.fields(table, ["DNA"]):
            pass
    assert tracemalloc.get_traced_memory()[1] < 8 * len(image)
    tracemalloc.stop()


def test_nothing_is_extracted(tmp_path):
    path = archive(tmp_path, FILES)
    with Source.open(path) as source:
        list(source.fields(TABLE, CHANNELS))
    assert list(tmp_path.iterdir()) == [path]


def test_real_fields_in_a_zip(shared_data, tmp_path):
    """Real BBBC021 files come out as tifffile reads them; cut anywhere, they are named."""
    folder = shared_data / "bbbc021" / "fields"
    known = pd.read_csv(folder / "fields.csv").dropna(subset="plate")
    for file, plate in known[["file", "plate"]].itertuples(index=False):
        data = (folder / file).read_bytes()
        for cut in (None, 1_000_000, len(data) - 100):
            path = archive(tmp_path, {f"{plate}/{file}": data[:cut]})
            with Source.open(path) as source:
                if cut is None:
                    found = source.read(f"{plate}/{file}")
                    assert found.shape == (1024, 1280)
                    np.testing.assert_array_equal(found, tifffile.imread(folder / file))
                else:
                    with pytest.raises(UserError, match=rf"plate\.zip: {plate}/{file}: cannot be read"):
                        source.read(f"{plate}/{file}")


def test_real_mosaics_under_their_official_names(shared_data, tmp_path):
    """Written as the archives are, found by the official table."""
    folder = shared_data / "bbbc021"
    channels = {"DNA": "DAPI", "tubulin": "Tubulin", "actin": "Actin"}
    table = screen.fields(
        {"kind": "bbbc021", "channels": channels, "control": "DMSO"},
        {"images": folder / "BBBC021_v1_image.csv.gz"},
    )
    mosaics = {path.stem: np.load(path, allow_pickle=False)["image"] for path in (folder / "mosaics").glob("*.npz")}
    found = table[table["Metadata_Field"].isin(mosaics)]
    assert len(found) == len(mosaics) == 5
    assert found["Metadata_Control"].all()
    row = found.iloc[0]
    image = mosaics[row["Metadata_Field"]]
    files = {row[f"Image_{channel}"]: tiff(image[..., number]) for number, channel in enumerate(channels)}
    with Source.open(archive(tmp_path, files)) as source:
        ((_, stored),) = source.fields(found.iloc[:1], list(channels))
    np.testing.assert_array_equal(stored, np.moveaxis(image, -1, 0))
