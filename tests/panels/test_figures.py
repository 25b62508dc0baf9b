from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image
from sklearn.datasets import load_digits

from phenoviews.panels import figure_nearest, figure_tsne
from phenoviews.panels.style import COLOURS, SMALL, WIDTH, save

NOTE = "Demo scale (digits in place of MNIST, reduced training, 2 seeds): not comparable with the published values."
DIGITS = [str(digit) for digit in range(10)]


@pytest.fixture(scope="module")
def clusters() -> pd.DataFrame:
    """200 digits in ten clusters, numbered from 9 down to 0; in each cluster 2 of 20 labels are of the next digit."""
    label = np.arange(200) % 10
    wrong = np.arange(200) < 20
    return pd.DataFrame(
        {
            "row": np.arange(200) * 2,
            "cluster": 9 - label,
            "distance": np.random.default_rng(0).random(200),
            "label": np.where(wrong, (label + 1) % 10, label),
        }
    )


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return (load_digits().images[:400] / 16 * 255).astype(np.uint8)[..., None]


def tsne_figure(clusters, note=NOTE, classes=DIGITS):
    rng = np.random.default_rng(1)
    points = pd.DataFrame({"row": clusters["row"], "x": rng.normal(size=200), "y": rng.normal(size=200)})
    entry = {"map": points, "clusters": clusters, "numbers": {"ami": 0.834, "silhouette": 0.661}}
    maps = [{"title": title, **entry} for title in ("First set", "Second set")]
    return figure_tsne.figure(maps, classes, class_word="digit", note=note)


def nearest_figure(clusters, images, panels=6, columns=3, classes=DIGITS, note=NOTE, nearest=10):
    entries = [{"title": f"Panel {i}", "images": images, "clusters": clusters} for i in range(panels)]
    return figure_nearest.figure(entries, classes, columns, nearest=nearest, class_word="digit", note=note)


def texts(figure) -> list:
    return [text for text in figure.findobj(Text) if text.get_text().strip()]


# ------------------------------------------------------------------------------------------------------------- both
@pytest.fixture(scope="module", params=["tsne", "nearest"])
def drawn(request, clusters, images):
    return (lambda: tsne_figure(clusters)) if request.param == "tsne" else lambda: nearest_figure(clusters, images)


def test_files_are_the_same_bytes_each_time_with_truetype_fonts(drawn, tmp_path):
    for name in "ab":
        save(drawn(), tmp_path / f"{name}.png", tmp_path / f"{name}.pdf")
    for kind in ("png", "pdf"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.size[0] == round(WIDTH * 300)
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.pdf", "a.png", "b.pdf", "b.png"]


def test_text_is_large_enough_inside_the_page_and_does_not_overlap_the_note(drawn):
    figure = drawn()
    figure.draw_without_rendering()
    visible = [text for text in texts(figure) if text.get_visible()]
    assert min(text.get_fontsize() for text in visible) >= SMALL
    page = figure.bbox
    for text in visible:
        box = text.get_window_extent()
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text
    note = next(text for text in visible if "Demo scale" in text.get_text()).get_window_extent()
    others = [text for text in visible if "Demo scale" not in text.get_text()]
    assert not any(note.overlaps(text.get_window_extent()) for text in others)


def test_a_long_note_is_printed_whole(drawn, clusters, images):
    long = " ".join([NOTE] * 2)
    for figure in (tsne_figure(clusters, long), nearest_figure(clusters, images, note=long)):
        assert long in [text.get_text().replace("\n", " ") for text in texts(figure)]
        figure.draw_without_rendering()
        assert figure.get_suptitle()
        titles = [ax.title if ax.get_title() else ax._left_title for ax in figure.axes]
        note = figure._suptitle.get_window_extent()
        assert not any(note.overlaps(title.get_window_extent()) for title in titles if title.get_text())


def test_without_a_note_nothing_stands_above(clusters, images):
    for figure in (tsne_figure(clusters, ""), nearest_figure(clusters, images, note="")):
        assert not figure.get_suptitle()


# ------------------------------------------------------------------------------------------------------------- tsne
def test_maps_have_titles_axes_and_legends(clusters):
    figure = tsne_figure(clusters)
    assert len(figure.axes) == 4
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == [
        "a  First set: AMI 0.83, silhouette 0.66",
        "b  Second set: AMI 0.83, silhouette 0.66",
    ]
    assert {ax.get_ylabel() for ax in figure.axes} == {"t-SNE 2 (a.u.)"}
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "t-SNE 1 (a.u.)", "t-SNE 1 (a.u.)"]
    for ax in (figure.axes[1], figure.axes[3]):
        assert [text.get_text() for text in ax.get_legend().get_texts()] == DIGITS


def test_all_points_are_drawn_in_the_colour_of_their_cluster_and_of_their_class(clusters):
    above, _, below, _ = tsne_figure(clusters).axes
    (scatter,) = above.collections
    assert len(scatter.get_offsets()) == 200
    expected = [to_rgb(COLOURS[9 - cluster]) for cluster in clusters["cluster"]]  # cluster 9 - d is matched to digit d
    np.testing.assert_allclose(scatter.get_facecolors()[:, :3], expected)
    sizes = {
        to_rgb(part.get_facecolor()[0][:3]): len(part.get_offsets())
        for part in below.collections
        if len(part.get_offsets())
    }
    assert sizes == {to_rgb(COLOURS[label]): count for label, count in clusters["label"].value_counts().items()}


def test_clusters_are_matched_to_classes_one_to_one():
    points = pd.DataFrame({"cluster": [3, 3, 3, 7, 7, 7, 5, 5], "label": [0, 0, 1, 0, 1, 1, 0, 0]})
    # Cluster 3 and 5 both hold two of class 0: one gets it, the other none.
    matched = figure_tsne.match(points, 2)
    assert set(matched[3:6]) == {1}
    assert {matched[0], matched[6]} == {0, 2}
    fewer = figure_tsne.match(pd.DataFrame({"cluster": [0, 0, 1, 1], "label": [2, 2, 0, 1]}), 3)
    assert fewer[0] == 2
    assert fewer[2] in (0, 1)


def test_long_class_names_are_dots_and_more_clusters_than_classes_have_names(clusters):
    figure = tsne_figure(clusters.assign(label=clusters["label"] // 5), classes=["treated", "untreated"])
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert names == ["treated", "untreated", *(f"other {i}" for i in range(1, 9))]
    (dots,) = [part for part in figure.axes[2].collections if len(part.get_offsets())]
    assert len(dots.get_offsets()) == 200


# ---------------------------------------------------------------------------------------------------------- nearest
def test_one_panel_per_clustering_with_its_words(clusters, images):
    figure = nearest_figure(clusters, images)
    assert len(figure.axes) == 6
    assert [ax.get_title(loc="left") for ax in figure.axes] == [f"Panel {i}" for i in range(6)]
    words = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert words == [f"{digit} · 90% · 20" for digit in range(10)]
    picture = figure.axes[0].get_images()[0].get_array()
    assert picture.shape == (10 * 9 - 1, 10 * 9 - 1, 3)


def test_images_are_square_on_the_page(clusters, images):
    for columns, nearest in ((3, 10), (2, 12), (1, 20)):
        figure = nearest_figure(clusters, images, columns=columns, nearest=nearest)
        box = figure.axes[0].get_position()
        width, height = figure.get_size_inches()
        assert box.width * width / nearest == pytest.approx(box.height * height / 10)


def test_the_summary_counts_by_hand():
    clusters = pd.DataFrame({"cluster": [4, 4, 4, 1, 1, 2], "label": [1, 1, 0, 0, 2, 1], "row": 0, "distance": 0.0})
    assert figure_nearest.summary(clusters).values.tolist() == [[1, 0, 0.5, 2], [2, 1, 1.0, 1], [4, 1, 2 / 3, 3]]


def test_the_mosaic_shows_the_nearest_first_and_leaves_white_what_is_missing():
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.full((1, 4, 4, 1), 40, np.uint8)
    clusters = pd.DataFrame(
        {"row": [5, 1, 3, 2], "cluster": [0, 0, 0, 1], "distance": [0.3, 0.1, 0.2, 0.5], "label": 0}
    )
    picture = figure_nearest.mosaic(images, clusters, [1, 0], nearest=2)
    assert picture.shape == (9, 9, 3)
    shown = picture[[0, 0, 5, 5], [0, 5, 0, 5], 0] * 255
    np.testing.assert_allclose(shown, [80, 255, 40, 120])
    assert (picture[4] == 1).all()
    assert (picture[:, 4] == 1).all()


def test_sixteen_bit_colour_is_stretched_by_channel():
    rng = np.random.default_rng(0)
    images = (rng.random((8, 6, 6, 3)) * [4000, 300, 20]).astype(np.uint16)
    clusters = pd.DataFrame({"row": np.arange(8), "cluster": 0, "distance": np.arange(8.0), "label": 0})
    picture = figure_nearest.mosaic(images, clusters, [0], nearest=8)
    for channel in range(3):
        assert np.median(picture[:, :6, channel]) == pytest.approx(0.5, abs=0.15)
    assert picture.min() >= 0
    assert picture.max() <= 1


def test_long_class_names_find_room(images, clusters):
    figure = nearest_figure(
        clusters.assign(cluster=clusters["cluster"] % 4, label=clusters["label"] % 2),
        images,
        panels=3,
        classes=["cytochalasin B", "untreated"],
        nearest=8,
    )
    figure.draw_without_rendering()
    for ax in figure.axes:
        for tick in ax.get_yticklabels():
            assert tick.get_window_extent().x0 >= ax.get_position().x0 * figure.bbox.width - 0.7 * figure.bbox.width / 3
    assert "\n" in figure.axes[0].get_yticklabels()[0].get_text()
