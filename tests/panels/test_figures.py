from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from PIL import Image
from sklearn.datasets import load_digits
from tests.panels.conftest import NONE, as_records, declared, grid, record

from phenoviews.errors import UserError
from phenoviews.panels import table
from phenoviews.panels.claims import evaluate
from phenoviews.panels.figures import curves as curves_plot
from phenoviews.panels.figures import doses as doses_plot
from phenoviews.panels.figures import nearest as nearest_plot
from phenoviews.panels.figures import opposition as opposition_plot
from phenoviews.panels.figures import tsne as tsne_plot
from phenoviews.panels.records import published
from phenoviews.panels.style import COLOURS, SMALL, WIDTH, save
from phenoviews.panels.verdicts import CANNOT, FEW

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
    entry = {"map": points, "clusters": clusters, "numbers": {"ami": 0.834, "silhouette": 0.661}, "reason": ""}
    maps = [{"title": title, **entry} for title in ("First set", "Second set")]
    return tsne_plot.figure(maps, classes, class_word="digit", note=note)


def nearest_figure(clusters, images, panels=6, columns=3, classes=DIGITS, note=NOTE, nearest=10):
    entry = {"images": images, "clusters": clusters, "classes": classes}
    entries = [{"title": f"Panel {i}", **entry} for i in range(panels)]
    return nearest_plot.figure(entries, columns, nearest=nearest, class_word="digit", note=note)


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
    matched = tsne_plot.match(points, 2)
    assert set(matched[3:6]) == {1}
    assert {matched[0], matched[6]} == {0, 2}
    fewer = tsne_plot.match(pd.DataFrame({"cluster": [0, 0, 1, 1], "label": [2, 2, 0, 1]}), 3)
    assert fewer[0] == 2
    assert fewer[2] in (0, 1)


def test_long_class_names_are_dots_and_more_clusters_than_classes_have_names(clusters):
    figure = tsne_figure(clusters.assign(label=clusters["label"] // 5), classes=["treated", "untreated"])
    names = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert names == ["treated", "untreated", *(f"other {i}" for i in range(1, 9))]
    (dots,) = [part for part in figure.axes[2].collections if len(part.get_offsets())]
    assert len(dots.get_offsets()) == 200


def test_a_map_that_could_not_be_made_is_told_in_its_place(clusters):
    points = pd.DataFrame({"row": clusters["row"], "x": 0.0, "y": clusters["row"] * 1.0})
    numbers = {"ami": 0.5, "silhouette": 0.5}
    maps = [{"title": "VGG13", "map": points, "clusters": clusters, "numbers": numbers, "reason": ""}]
    maps.append({"title": "VGG16", "map": points.iloc[:0], "clusters": clusters.iloc[:0], "numbers": {}})
    maps[1]["reason"] = "no weights"
    figure = tsne_plot.figure(maps, DIGITS)
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == ["no map: no weights"]
    assert figure.axes[1].get_title(loc="left") == "b  VGG16"
    assert len(tsne_plot.figure(maps[1:], DIGITS).axes) == 2


def test_the_declared_maps_are_drawn_from_their_files_and_values(clusters, tmp_path):
    index = pd.DataFrame({"label": range(10), "class": DIGITS})
    points = pd.DataFrame({"row": clusters["row"], "x": 0.0, "y": clusters["row"] * 1.0})
    for name, found in {"index": index, "map": points, "points": clusters}.items():
        found.to_parquet(tmp_path / f"{name}.parquet")
    values = {"one": {"ami": 0.834, "silhouette": 0.661}, "two": {"ami": NONE, "silhouette": NONE}}
    lines = [
        record(name, 5, metric, value, "" if value == value else "collapsed")
        for name, of in values.items()
        for metric, value in of.items()
    ]
    panel = declared(grid(transform=values, seeds=[5]), labels={"one": "First", "two": "Second"}, class_word="digit")
    files = {name: [str(tmp_path / f"{name}.parquet")] * 2 for name in ("index", "map", "points")}
    figure = tsne_plot.draw(panel, as_records(lines), files)
    titles = [ax.get_title(loc="left") for ax in figure.axes[:2]]
    assert titles == ["a  First: AMI 0.83, silhouette 0.66", "b  Second"]
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == ["no map: collapsed"]


@pytest.mark.parametrize("name", ["$5^{ and $6", "$", "a_b $x$"])
def test_dollars_in_titles_and_names_are_drawn_as_they_are(clusters, images, name, tmp_path):
    """And not read as formulas, which these are not."""
    classes = [name, *DIGITS[1:]] if len(name) == 1 else [name] * 10
    entry = {"images": images, "clusters": clusters, "classes": classes}
    figures = [
        tsne_figure(clusters, classes=classes),
        nearest_plot.figure([{"title": name, **entry}], 1, nearest=3, class_word=name, note=name),
    ]
    for figure in figures:
        save(figure, tmp_path / "figure.png", tmp_path / "figure.pdf")
        assert any(name in text.get_text() for text in texts(figure))
        assert not any(text.get_parse_math() for text in texts(figure))


# ---------------------------------------------------------------------------------------------------------- nearest
def test_one_panel_per_clustering_with_its_words(clusters, images):
    figure = nearest_figure(clusters, images)
    assert len(figure.axes) == 6
    assert [ax.get_title(loc="left") for ax in figure.axes] == [f"Panel {i}" for i in range(6)]
    words = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert words == [f"{digit} · 90% · 20" for digit in range(10)]
    strips = figure.axes[0].get_images()
    assert [strip.get_array().shape for strip in strips] == [(8, 10 * 9 - 1, 3)] * 10


def test_images_are_square_on_the_page(clusters, images):
    for columns, nearest in ((3, 10), (2, 12), (1, 20)):
        figure = nearest_figure(clusters, images, columns=columns, nearest=nearest)
        figure.draw_without_rendering()
        for strip in figure.axes[0].get_images():
            box, (height, width, _) = strip.get_window_extent(), strip.get_array().shape
            assert box.width / width == pytest.approx(box.height / height)


def test_the_summary_counts_by_hand():
    clusters = pd.DataFrame({"cluster": [4, 4, 4, 1, 1, 2], "label": [1, 1, 0, 0, 2, 1], "row": 0, "distance": 0.0})
    assert nearest_plot.summary(clusters).values.tolist() == [[1, 0, 0.5, 2], [2, 1, 1.0, 1], [4, 1, 2 / 3, 3]]


def test_strips_show_the_nearest_first_and_leave_white_what_is_missing():
    images = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.full((1, 4, 4, 1), 40, np.uint8)
    clusters = pd.DataFrame(
        {"row": [5, 1, 3, 2], "cluster": [0, 0, 0, 1], "distance": [0.3, 0.1, 0.2, 0.5], "label": 0}
    )
    first, second = nearest_plot.strips(images, clusters, [1, 0], nearest=2)
    assert first.shape == second.shape == (4, 9, 3)
    shown = [first[0, 0, 0], first[0, 5, 0], second[0, 0, 0], second[0, 5, 0]]
    np.testing.assert_allclose(np.multiply(shown, 255), [80, 255, 40, 120])
    assert (second[:, 4] == 1).all()


def test_sixteen_bit_colour_is_stretched_by_channel():
    rng = np.random.default_rng(0)
    images = (rng.random((8, 6, 6, 3)) * [4000, 300, 20]).astype(np.uint16)
    clusters = pd.DataFrame({"row": np.arange(8), "cluster": 0, "distance": np.arange(8.0), "label": 0})
    (strip,) = nearest_plot.strips(images, clusters, [0], nearest=8)
    for channel in range(3):
        assert np.median(strip[:, :6, channel]) == pytest.approx(0.5, abs=0.15)
    assert strip.min() >= 0
    assert strip.max() <= 1


def test_each_channel_has_its_colour_and_colours_add_up():
    paints = {"DNA": "blue", "tubulin": "green", "actin": "red"}
    dark, dna, tubulin, both = np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), np.array([0, 0.5, 0.5])
    painted = nearest_plot.paint(np.stack([dark, dna, tubulin, both])[None], paints)[0]
    assert painted[0].tolist() == [0, 0, 0]
    assert painted[1].argmax() == 2
    assert painted[2].tolist() == [0, 1, 0]
    assert painted[3, 0] == 0.5  # red of actin
    assert painted[3, 1] > 0.5  # green of tubulin and the little of it in actin's
    five = nearest_plot.paint(np.ones((2, 5)), dict(zip("abcde", nearest_plot.PAINTS, strict=False)))
    assert five.max() == 1
    with pytest.raises(UserError, match="2 colours for images of 3 channels"):
        nearest_plot.paint(np.ones((2, 3)), {"DNA": "blue", "actin": "red"})
    with pytest.raises(UserError, match="0 colours for images of 5 channels"):
        nearest_plot.paint(np.ones((2, 5)))


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


# ------------------------------------------------------------------------------------------------------------ of cells
PAINTS = {"DNA": "blue", "tubulin": "green", "actin": "red"}


@pytest.fixture(scope="module")
def cells() -> dict:
    """120 cells in four clusters, of which 1, 0.9, 0.5 and 0 are treated."""
    cluster = np.arange(120) % 4
    treated = np.array([1.0, 0.9, 0.5, 0.0])[cluster] > np.arange(120) // 4 / 30
    clusters = pd.DataFrame(
        {
            "row": np.arange(120),
            "cluster": cluster,
            "distance": np.arange(120.0),
            "label": treated.astype(int),
            "Metadata_Control": ~treated,
            "Metadata_Phenotype": np.where(treated, np.where(np.arange(120) % 3, "fragmented", "round"), "normal"),
        }
    )
    images = np.random.default_rng(0).integers(0, 255, (120, 12, 12, 3), dtype=np.uint8)
    return {"clusters": clusters, "images": images, "classes": ["DMSO", "nocodazole"]}


def cell_figure(cells, columns=1, nearest=8, without=(), channels=PAINTS, **more):
    entry = {**cells, "clusters": cells["clusters"].drop(columns=list(without)), **more}
    entries = [{"title": f"Panel {i}", **entry} for i in range(3)]
    return nearest_plot.figure(entries, columns, nearest, "treatment", NOTE, channels)


def test_beside_cells_stand_the_treated_share_and_the_true_phenotypes(cells):
    figure = cell_figure(cells)
    words = [tick.get_text().split("\n") for tick in figure.axes[0].get_yticklabels()]
    assert [line[:2] for line in words] == [[f"{share}% treated", "n = 30"] for share in (0, 50, 90, 100)]
    assert words[0][2:] == ["normal 100%"]
    assert words[1][2:] == ["normal 50%", "fragmented 33%"]
    assert words[3][2:] == ["fragmented 67%", "round 33%"]
    assert "true phenotypes" in " ".join(text.get_text() for text in figure.texts)
    unknown = cell_figure(cells, without=["Metadata_Phenotype"])
    assert unknown.axes[0].get_yticklabels()[1].get_text() == "50% treated\nn = 30"
    assert "phenotypes" not in " ".join(text.get_text() for text in unknown.texts)


def test_channels_have_a_legend(cells):
    (legend,) = cell_figure(cells).legends
    assert [text.get_text() for text in legend.get_texts()] == list(PAINTS)
    colours = [to_rgb(patch.get_facecolor()) for patch in legend.get_patches()]
    assert [np.argmax(colour) for colour in colours] == [2, 1, 0]


def test_a_channel_that_is_not_shown_is_in_neither_the_legend_nor_the_images(cells):
    chosen = PAINTS | {"tubulin": "none"}
    (legend,) = cell_figure(cells, channels=chosen).legends
    assert [text.get_text() for text in legend.get_texts()] == ["DNA", "actin"]
    bright = np.array([[0.0, 1.0, 0.0], [0.5, 1.0, 0.0]])
    alone = bright * [1, 0, 1]
    np.testing.assert_array_equal(nearest_plot.paint(bright, chosen), nearest_plot.paint(alone, PAINTS))


@pytest.mark.parametrize(("columns", "nearest"), [(1, 12), (3, 5)])
def test_words_stay_apart_and_on_the_page(cells, columns, nearest):
    figure = cell_figure(cells, columns, nearest)
    figure.draw_without_rendering()
    boxes = [tick.get_window_extent() for ax in figure.axes for tick in ax.get_yticklabels()]
    boxes += [ax._left_title.get_window_extent() for ax in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts] + [figure.legends[0].get_window_extent()]
    for number, box in enumerate(boxes):
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.width + 1
        assert not any(box.overlaps(other) for other in boxes[:number])


def test_an_encoder_that_could_not_be_had_is_told_in_its_place(cells):
    panels = [{"title": "VGG16", "classes": ["a", "b"], "reason": "no ImageNet weights"}, {"title": "VGG13", **cells}]
    figure = nearest_plot.figure(panels, 2, 5)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no clusters: no ImageNet weights"]
    assert not figure.axes[0].get_images()
    assert len(figure.axes[1].get_images()) == 4
    assert nearest_plot.figure(panels[:1], 1).axes[0].texts


def test_the_declared_figure_is_drawn_from_its_files(cells, tmp_path):
    """Each run has its own dataset, with its own class names and metadata; the second has no weights."""
    each = grid(dataset=["nocodazole", "taxol"], seeds=[5])
    files = {kind: [] for kind in ("index", "points", "images")}
    for number, name in enumerate(("nocodazole", "taxol")):
        index = cells["clusters"][["label", "Metadata_Control", "Metadata_Phenotype"]]
        index = index.assign(**{"class": np.where(index["label"], name, "DMSO")})
        index.to_parquet(tmp_path / f"{name}.parquet")
        points = cells["clusters"][["row", "cluster", "distance", "label"]]
        (points.iloc[:0] if number else points).to_parquet(tmp_path / f"{name}-points.parquet")
        np.save(tmp_path / f"{name}.npy", cells["images"])
        for kind, ending in {"index": ".parquet", "points": "-points.parquet", "images": ".npy"}.items():
            files[kind].append(str(tmp_path / f"{name}{ending}"))
    found = [
        record("one", 5, "ami", 0.5, dataset="nocodazole", k=4),
        record("one", 5, "ami", NONE, "no weights", dataset="taxol"),
    ]
    labels = {"nocodazole": "Nocodazole", "taxol": "Taxol"}
    panel = declared(each, columns=["dataset"], labels=labels, images=6, class_word="treatment", channels=PAINTS)
    figure = nearest_plot.draw(panel, as_records(found), files)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["Nocodazole", "Taxol"]
    assert figure.axes[0].get_yticklabels()[3].get_text().startswith("100% treated\nn = 30\nfragmented 67%")
    assert "no weights" in figure.axes[1].texts[0].get_text()


# -------------------------------------------------------------------------------------------------------------- doses
METRICS = ("ami_treated", "ami_random_labels", "ami_random_most", "cells")


@pytest.fixture
def doses() -> tuple[dict, pd.DataFrame]:
    """Three encoders with two seeds each; the third has no weights."""
    each = grid(transform=["plain"], method=["imagenet"], backbone=["resnet18", "resnet101", "resnet152"])
    lines = []
    for number, run in enumerate(each):
        ami = {0.1: 0.1, 3.0: 0.4} if run["backbone"] == "resnet18" else {0.1: 0.2, 3.0: 0.6}
        numbers = [
            {"metric": metric, "value": value, "concentration": at, "dose": dose}
            for (at, of), dose in zip(ami.items(), (2, 1), strict=True)
            for metric, value in {
                "ami_treated": of + 0.02 * (number % 2),
                "ami_random_labels": 0.01,
                "ami_random_most": 0.03,
                "cells": 40,
            }.items()
        ]
        if run["backbone"] == "resnet152":
            none = {"value": NONE, "reason": "no ImageNet weights"}
            numbers = [{"metric": metric, **none} for metric in METRICS]
        lines += [{**run, **line, "source": f"{number}.parquet"} for line in numbers]
    labels = {"resnet18": "ResNet18", "resnet101": "ResNet101", "resnet152": "ResNet152"}
    panel = declared(
        each,
        *METRICS,
        name="p_f",
        title="AMI by concentration",
        rows=["metric", "backbone"],
        columns=["concentration"],
        labels=labels,
        randomised="resnet101",
        scale={"name": "demo", "note": NOTE, "stand_ins": {}},
    )
    return panel, as_records(lines)


def test_curves_are_means_by_encoder_and_a_missing_one_is_named(doses):
    figure = doses_plot.draw(*doses, {})
    ax = figure.axes[0]
    assert ax.get_xscale() == "log"
    lines = {c.get_label(): c for c in ax.containers}
    assert len(lines) == 3  # two encoders and one with shuffled labels
    heights = [container.lines[0].get_ydata().tolist() for container in ax.containers]
    assert heights == [pytest.approx([0.11, 0.41]), pytest.approx([0.21, 0.61]), pytest.approx([0.01, 0.01])]
    names = [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]
    assert names == [
        "ResNet18",
        "ResNet101",
        "ResNet152: no numbers, no ImageNet weights",
        "ResNet101, labels shuffled",
        "by chance: 95 % of shuffled labels",
    ]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0.1", "3"]
    assert "n = 40 treated and as many untreated cells" in ax.get_xlabel()
    assert "over 2 seeds" in ax.get_xlabel().replace("\n", " ")
    # The larger the network, the darker.
    brightness = [sum(to_rgb(c.lines[0].get_color())) for c in ax.containers[:2]]
    assert brightness[0] > brightness[1]
    figure.draw_without_rendering()
    for text in texts(figure):
        if text.get_visible():
            assert text.get_fontsize() >= SMALL
            assert text.get_window_extent().x1 <= figure.bbox.width + 1


def test_the_shuffled_curve_follows_the_stand_ins_and_must_be_of_the_panel(doses):
    panel, found = doses
    panel |= {"randomised": "resnet1001", "scale": {**panel["scale"], "stand_ins": {"resnet1001": "resnet18"}}}
    legend = doses_plot.draw(panel, found, {}).axes[0].get_legend()
    assert legend.get_texts()[-2].get_text() == "ResNet18,\nlabels shuffled"
    panel["scale"]["stand_ins"] = {}
    with pytest.raises(UserError, match="panel p_f: randomised: 'resnet1001' is not among its runs"):
        doses_plot.draw(panel, found, {})
    del panel["randomised"]
    assert len(doses_plot.draw(panel, found, {}).axes[0].containers) == 2


def test_a_single_encoder_has_its_name(doses):
    panel, found = doses
    of = found["backbone"] == "resnet101"
    each = [run for run in panel["each"] if run["backbone"] == "resnet101"]
    panel |= {"each": each, "runs": {**panel["runs"], "backbone": ["resnet101"]}}
    legend = doses_plot.draw(panel, found[of], {}).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        "ResNet101",
        "ResNet101,\nlabels shuffled",
        "by chance: 95 % of\nshuffled labels",
    ]


def test_baselines_look_otherwise_and_chance_is_a_band(doses):
    """Whatever lies in it, chance may have put there."""
    panel, found = doses
    each = [{**run, "method": "untrained" if run["backbone"] == "resnet18" else "imagenet"} for run in panel["each"]]
    panel |= {"each": each[2:] + each[:2], "runs": {**panel["runs"], "method": ["imagenet", "untrained"]}}
    panel |= {"labels": {**panel["labels"], "imagenet": "ImageNet", "untrained": "untrained"}}
    found = found.assign(method=found["method"].mask(found["backbone"] == "resnet18", "untrained"))
    ax = doses_plot.draw(panel, found, {}).axes[0]
    looks = {c.lines[0].get_linestyle(): c.lines[0].get_color() for c in ax.containers}
    assert looks[":"] == "black"
    assert to_rgb(looks["-"]) != to_rgb("black")
    (band,) = (one for one in ax.collections if "by chance" in str(one.get_label()))
    assert sorted(set(band.get_paths()[0].vertices[:, 1])) == [0, 0.03]


def test_without_any_numbers_the_figure_says_why(doses):
    panel, found = doses
    figure = doses_plot.draw(panel, found.assign(value=NONE, reason="no ImageNet weights"), {})
    assert not figure.axes[0].containers
    assert all(
        "no ImageNet weights" in t.get_text().replace("\n", " ") for t in figure.axes[0].get_legend().get_texts()
    )


def test_claims_name_doses_from_the_highest_down(doses):
    _, found = doses
    claim = {"id": "c", "says": "", "where": {"dose": [1]}, "each": ["concentration"]}
    better = evaluate([{**claim, "holds": ["ami_treated of resnet101 > ami_treated of resnet18"]}], found)
    assert list(better["cell"]) == ["mean of 1 cell", "3.0"]
    assert (better["n"].iloc[0], better["verdict"].iloc[0]) == (2, FEW)
    assert better["margin"].iloc[0] == pytest.approx(0.2)
    missing = evaluate([{**claim, "holds": ["ami_treated of resnet101 > ami_treated of resnet152"]}], found).iloc[0]
    assert (missing["verdict"], missing["reason"]) == (CANNOT, "no ImageNet weights")


def test_the_numbers_of_the_figure_are_a_table(doses):
    panel, found = doses
    view = table.layout(table.long(found, panel, published([])), panel)
    assert [head for head, _ in view.heads] == ["0.1 µM", "3 µM"]
    assert [names for names, _ in view.body] == [
        [metric, name]
        for metric in ("AMI", "AMI, labels shuffled", "AMI, labels shuffled, 95 % at most", "Cells of either class")
        for name in ("ResNet18", "ResNet101", "ResNet152")
    ]
    assert view.body[0][1] == [("0.11 ± 0.01 (2)", ""), ("0.41 ± 0.01 (2)", "")]
    assert view.body[2][1] == [("—", "a"), ("—", "a")]
    assert view.body[9][1] == [("40 ± 0 (2)", "")] * 2
    assert view.footnotes == {"a": "no ImageNet weights"}


# ------------------------------------------------------------------------------------------------------------- curves
VALUES = (0.0, 0.25, 0.5)


def curves_panel(classes=("cat", "dog"), methods=("moco",), seeds=(5, 6), **more):
    """Two sweeps of `one`, whose base point, hue 0.25, is a run without overrides; cats fall, dogs rise."""
    each = [
        {**run, "swept": swept, "at": at}
        for swept in ("hue", "flip.p")
        for at in VALUES
        for run in grid(transform=["one" if at == 0.25 else f"one+{swept}={at}"], method=methods, seeds=seeds)
    ]
    lines = []
    for run in each:
        place = {key: run[key] for key in ("transform", "seed", "method")}
        up = 40 * run["at"] + run["seed"]
        number = {"swept": run["swept"], "at": run["at"], "split": "test", "regime": "linear"}
        for place_of, name in enumerate(classes):
            value = 50 + up if place_of % 2 else 70 - up
            lines.append({**record(metric="accuracy", value=value, **place, **{"class": name}), **number})
        lines.append({**record(metric="top1", value=60.0, **place), **number, "class": ""})
    found = pd.DataFrame(lines)
    panel = declared(each, "accuracy", "top1", plot="curves", **more)
    panel["dimensions"]["swept"]["names"] = {"hue": "Largest shift of hue", "flip.p": "Probability of a flip"}
    return panel, found


def lines_of(ax) -> dict[str, list]:
    """{colour: the heights of its lines} of a plot."""
    found: dict[str, list] = {}
    for line in ax.lines:
        if len(line.get_xdata()) == len(VALUES) and line.get_linestyle() != "None":
            found.setdefault(line.get_color(), []).append([round(float(y), 6) for y in line.get_ydata()])
    return found


def test_curves_are_means_over_seeds_of_every_class_and_of_all_images():
    panel, found = curves_panel()
    drawn = curves_plot.draw(panel, found, {})
    left, right = drawn.axes
    assert (left.get_xlabel(), right.get_xlabel()) == ("Largest shift of hue", "Probability of a flip")
    assert left.get_ylabel() == "Accuracy (%)"
    for ax in (left, right):
        expected = {COLOURS[0]: [[64.5, 54.5, 44.5]], COLOURS[1]: [[55.5, 65.5, 75.5]], "#000000": [[60.0] * 3]}
        assert lines_of(ax) == expected
    texts_of_legend = [text.get_text() for text in drawn.legends[0].get_texts()]
    assert texts_of_legend == ["cat", "dog", "all images"]
    assert "2 seeds" in drawn.legends[0].get_title().get_text()


def test_of_many_classes_those_that_are_named_stand_out():
    names = [f"class {number}" for number in range(20)]
    panel, found = curves_panel(names, methods=("moco", "byol"), highlight=["class 3", "no such class"])
    panel["labels"] = {"moco": "MoCo v2+", "byol": "BYOL"}
    drawn = curves_plot.draw(panel, found, {})
    assert [ax.get_ylabel() for ax in drawn.axes if ax.get_ylabel()] == ["MoCo v2+\nAccuracy (%)", "BYOL\nAccuracy (%)"]
    for ax in drawn.axes:
        by_colour = lines_of(ax)
        assert len(by_colour[curves_plot.FAINT]) == 19
        assert by_colour[COLOURS[0]] == [[55.5, 65.5, 75.5]]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["class 3", "all images", "other classes"]


def test_a_curve_without_numbers_has_its_reason():
    panel, found = curves_panel(methods=("moco", "byol"))
    failed = found["method"] == "byol"
    found.loc[failed, ["value", "reason"]] = [NONE, "collapsed in epoch 3"]
    drawn = curves_plot.draw(panel, found, {})
    reasons = [text.get_text().replace("\n", " ") for text in texts(drawn) if "no numbers" in text.get_text()]
    assert reasons == ["no numbers: collapsed in epoch 3"] * 2


def test_curves_need_a_sweep():
    panel, found = curves_panel()
    with pytest.raises(UserError, match="panel p_t: curves are drawn against a setting; name a `sweep`"):
        curves_plot.draw(panel, found.assign(swept="", at=NONE), {})


def test_superclasses_are_drawn_as_classes_are():
    panel, found = curves_panel()
    found = found.rename(columns={"class": "superclass"})
    found["metric"] = found["metric"].replace("accuracy", "superclass_accuracy")
    drawn = curves_plot.draw_superclasses(panel, found, {})
    expected = {COLOURS[0]: [[64.5, 54.5, 44.5]], COLOURS[1]: [[55.5, 65.5, 75.5]], "#000000": [[60.0] * 3]}
    assert [lines_of(ax) for ax in drawn.axes] == [expected] * 2


def test_what_is_not_swept_has_no_plot():
    panel, found = curves_panel(methods=("moco", "byol"))
    drawn = curves_plot.draw(panel, found[(found["method"] == "moco") | (found["swept"] == "hue")], {})
    assert [ax.axison for ax in drawn.axes] == [True, True, True, False]


# ---------------------------------------------------------------------------------------------------------- opposition
def opposition_panel() -> tuple[dict, pd.DataFrame]:
    """Two data sets; on the second one sweep of one method, which could not be counted."""
    cells = [("d", "hue", "moco"), ("d", "hue", "byol"), ("d", "flip.p", "moco"), ("d", "flip.p", "byol")]
    numbers = {"opposed": (90, 80, 95), "opposed_by_chance": (40, 30, 50), "opposed_without_class": (60, 55, 65)}
    numbers["opposed_honest"] = (20, NONE, NONE)
    lines = []
    for dataset, swept, method in [*cells, ("e", "hue", "moco")]:
        for metric, (value, low, high) in numbers.items():
            there = dataset == "d"
            line = record(
                "one", 0, metric, value if there else NONE, "" if there else "one seed", method, dataset=dataset
            )
            lines.append({**line, "swept": swept, "at": NONE, "regime": "linear", "low": low, "high": high})
    panel = declared(grid(["d", "e"], method=["moco", "byol"]), *numbers, plot="opposition")
    panel["dimensions"]["swept"]["names"] = {"hue": "Largest shift of hue", "flip.p": "Probability of a flip"}
    return panel, pd.DataFrame(lines)


def test_published_counts_stand_before_what_noise_counts():
    panel, found = opposition_panel()
    drawn = opposition_plot.draw(panel, found, {})
    first, second = drawn.axes
    bars = [(round(bar.get_y(), 6), round(bar.get_y() + bar.get_height(), 6)) for bar in first.patches]
    assert sorted(bars) == [(30, 50)] * 4 + [(55, 65)] * 4
    dots = [line for line in first.lines if line.get_marker() == "o"]
    assert [list(line.get_ydata()) for line in dots] == [[90]] * 4
    assert [list(line.get_ydata()) for line in first.lines if line.get_marker() == "x"] == [[20]] * 4
    assert [tick.get_text() for tick in first.get_xticklabels()] == ["Largest shift of\nhue", "Probability of a\nflip"]
    assert "no numbers: one seed" in second.texts[0].get_text()


def test_opposition_needs_a_sweep():
    panel, found = opposition_panel()
    with pytest.raises(UserError, match="name a `sweep`"):
        opposition_plot.draw(panel, found.iloc[:0], {})
