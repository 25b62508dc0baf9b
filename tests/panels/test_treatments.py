from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from tests.panels.conftest import NONE, as_records, declared, grid, printed

from phenoviews.errors import UserError
from phenoviews.panels import numbers
from phenoviews.panels.figures import treatments as treatments_plot
from phenoviews.panels.style import COLOURS, SMALL, WIDTH
from phenoviews.study import resources
from phenoviews.study.panel import Panel

NOTE = "Demo scale (simulated screen in place of BBBC021, reduced training, 1 seed): not comparable."
MOAS = [f"mechanism {letter}" for letter in "abcdefghijkl"]


@pytest.fixture
def treatments() -> pd.DataFrame:
    """Ten treatments of each of twelve MoAs: 4 NSC errors; 5 NSCB errors, 2 of them both; the last MoA not asked."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"Metadata_MoA": np.repeat(MOAS, 10), "postprocessing": "whitening"})
    table["Metadata_Compound"] = [f"compound {number // 2}" for number in range(120)]
    table["Metadata_Concentration"] = [1.0 + number % 2 for number in range(120)]
    table["x"], table["y"] = rng.normal(size=(2, 120))
    table["nsc"] = ~table.index.isin([0, 11, 22, 119])
    asked = table["Metadata_MoA"] != MOAS[-1]
    table["nscb"] = (~table.index.isin([0, 11, 33, 44, 55])).astype(object)
    table["nscb"] = table["nscb"].where(asked, None)
    return table


def values(treatments: pd.DataFrame, run: dict) -> list[dict]:
    """What a run's measures say of treatments, each with its outcomes."""
    lines = []
    for name, of in treatments.groupby("postprocessing", sort=False):
        for score in ("nsc", "nscb"):
            right = of[score].dropna().astype(float)
            line = {"metric": score, "value": NONE, "reason": "every MoA is seen in one batch only"}
            if len(right):
                line |= {"value": 100 * right.mean(), "reason": "", "correct": right.sum(), "of": len(right)}
            lines.append({"postprocessing": name, **line})
            for row in of.loc[right.index].itertuples():
                at = {"compound": row.Metadata_Compound, "concentration": row.Metadata_Concentration}
                at |= {"moa": row.Metadata_MoA, "postprocessing": name}
                lines.append({"metric": f"{score}_right", "value": right[row.Index], **at})
    return [{**run, **line, "source": "scores.parquet"} for line in lines]


def failed(run: dict) -> list[dict]:
    line = {"value": NONE, "reason": "no ImageNet weights", "source": "scores.parquet"}
    return [{**run, "metric": metric, **line} for metric in ("nsc", "nscb", "nsc_right", "nscb_right")]


def as_map(treatments: pd.DataFrame, path) -> str:
    treatments.drop(columns=["nsc", "nscb"]).to_parquet(path)
    return str(path)


@pytest.fixture
def shown(treatments, tmp_path) -> tuple[dict, pd.DataFrame, dict]:
    """Two encoders, with and without whitening; the second has no weights."""
    each = grid(backbone=["resnet18", "resnet50"], seeds=[5])
    both = pd.concat([treatments.assign(postprocessing="none", nsc=True), treatments], ignore_index=True)
    maps = [as_map(both, tmp_path / "0.parquet"), as_map(both.iloc[:0], tmp_path / "1.parquet")]
    labels = {"resnet18": "ResNet18", "resnet50": "ResNet50"}
    scale = {"name": "demo", "note": NOTE, "stand_ins": {}}
    panel = declared(each, "nsc", "nscb", rows=["backbone", "postprocessing"], labels=labels, scale=scale)
    return panel, as_records(values(both, each[0]) + failed(each[1])), {"map": maps}


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_errors_have_shapes_and_mechanisms_colours(treatments):
    ax = treatments_plot.figure([{"title": "", "treatments": treatments, "reason": ""}]).axes[0]
    drawn = {part.get_label(): part for part in ax.collections}
    sizes = {label: len(part.get_offsets()) for label, part in drawn.items()}
    # A square for both stands in each diamond round it.
    assert sizes == {"right": 113, "NSC error": 4, "NSCB error": 3, "both": 2}
    np.testing.assert_allclose(drawn["both"].get_offsets(), treatments.loc[[0, 11], ["x", "y"]])
    np.testing.assert_allclose(drawn["NSCB error"].get_offsets(), treatments.loc[[33, 44, 55], ["x", "y"]])
    faces = [to_rgb(COLOURS[number]) for number in (0, 1, 2, 11)]
    np.testing.assert_allclose(drawn["NSC error"].get_facecolors()[:, :3], faces)
    assert len(drawn["both"].get_facecolors()) == 0
    corners = {label: len(part.get_paths()[0].vertices) for label, part in drawn.items()}
    assert corners["NSC error"] == corners["NSCB error"] == 5
    # The diamond's diagonal reaches beyond the square's corners.
    assert drawn["both"].get_sizes()[0] > 2 * drawn["NSC error"].get_sizes()[0]
    assert len(set(COLOURS)) >= len(MOAS)


def test_counts_and_what_is_left_out_are_told(treatments):
    fig = treatments_plot.figure([{"title": "", "treatments": treatments, "reason": ""}])
    assert fig.axes[0].get_title(loc="left") == "4 of 120 NSC errors, 5 of 110 NSCB errors"
    assert one_line(fig.axes[0].get_xlabel()) == "t-SNE 1 (a.u.) NSCB leaves out 10 treatments: mechanism l"
    words = [text.get_text() for text in fig.legends[0].get_texts()]
    assert words[:12] == MOAS
    assert words[13:] == ["right", "NSC error", "NSCB error", "both"]
    asked = treatments[treatments["nscb"].notna()]
    assert (
        "leaves out"
        not in treatments_plot.figure([{"title": "", "treatments": asked, "reason": ""}]).axes[0].get_xlabel()
    )


def test_the_declared_figure_is_drawn_from_its_files_with_the_reason_of_a_missing_run(shown):
    panel, records, files = shown
    whitened = records[records["postprocessing"].isin(["whitening", ""])]
    fig = treatments_plot.draw(panel, whitened, files)
    titles = [one_line(ax.get_title(loc="left")) for ax in fig.axes]
    assert titles == ["a ResNet18: 4 of 120 NSC errors, 5 of 110 NSCB errors", "b ResNet50"]
    assert one_line(fig.axes[1].texts[0].get_text()) == "no map: no ImageNet weights"
    fig = treatments_plot.draw(panel, records, files)
    titles = [one_line(ax.get_title(loc="left")) for ax in fig.axes]
    assert titles == [
        "a ResNet18 · No post-processing: 0 of 120 NSC errors, 5 of 110 NSCB errors",
        "b ResNet18 · Whitening: 4 of 120 NSC errors, 5 of 110 NSCB errors",
        "c ResNet50 · No post-processing",
        "d ResNet50 · Whitening",
    ]
    fig = treatments_plot.draw(
        {**panel, "each": panel["each"][1:]}, records[records["value"].isna()], {"map": files["map"][1:]}
    )
    assert one_line(fig.axes[0].texts[0].get_text()) == "no map: no ImageNet weights"


def test_a_post_processing_that_could_not_be_made_has_its_reason_and_no_map(shown):
    panel, records, files = shown
    undefined = {"value": NONE, "reason": "needs two controls", "correct": NONE, "of": NONE}
    whitened = (records["postprocessing"] == "whitening") & records["metric"].isin(["nsc", "nscb"])
    records.loc[whitened, list(undefined)] = list(undefined.values())
    fig = treatments_plot.draw(panel, records, files)
    assert one_line(fig.axes[1].texts[0].get_text()) == "no map: needs two controls"
    assert fig.axes[0].collections


def test_outcomes_are_found_by_compound_and_concentration_in_whatever_order(shown, treatments):
    panel, records, files = shown
    shuffled = records.sample(frac=1, random_state=0)
    drawn = [treatments_plot.draw(panel, found, files).axes[1] for found in (records, shuffled)]
    for label in ("NSC error", "NSCB error", "both", "right"):
        one, other = (next(part for part in ax.collections if part.get_label() == label) for ax in drawn)
        np.testing.assert_allclose(one.get_offsets(), other.get_offsets())
    both = next(part for part in drawn[0].collections if part.get_label() == "both")
    np.testing.assert_allclose(both.get_offsets(), treatments.loc[[0, 11], ["x", "y"]])


def test_the_numbers_stand_beside_those_of_the_papers_map(root, treatments, tmp_path):
    """A map with as many errors as the paper's: no difference to the published scores, which are those of table 2."""
    asked = pd.array([True] * 87 + [False] * 5 + [None] * 11, dtype="boolean")
    same = treatments.iloc[:103].assign(nsc=[False] * 4 + [True] * 99, nscb=asked)
    names = ["treatments", "single_cell+random_grayscale=off", "simclr+epochs=600+temperature=0.5", "resnet50_imagenet"]
    each = grid(*([name] for name in names), seeds=[0])
    panel = declared(each, "nsc", "nscb", name="single_cell_figure2", title="Final run", rows=["postprocessing"])
    found = as_records(values(same, each[0]))
    files = {key: tmp_path / f"figure2.{key}" for key in ("csv", "md", "tex", "claims", "json")}
    numbers.write(panel, found, files, resources.published(Panel("single_cell", "figure2", {})), [])
    table = pd.read_csv(files["csv"]).set_index("metric")
    assert table["published_correct"].to_dict() == {"nsc": 99, "nscb": 87}
    np.testing.assert_allclose(table["difference"], 0, atol=1e-4)
    row = next(line for line in files["md"].read_text().splitlines() if line.startswith("| Whitening"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "Whitening",
        "96.1 (1), 99/103",
        "96.1, 99/103<sup>a</sup>",
        "94.6 (1), 87/92",
        "94.6, 87/92<sup>b</sup>",
    ]
    assert (
        "<sup>a</sup> printed as 4 of 103 errors<br><sup>b</sup> printed as 5 of 92 errors" in files["md"].read_text()
    )
    assert "then how many treatments are right" in files["md"].read_text()
    table2 = printed("single_cell_table2")
    table2 = table2[(table2["method"] == names[2]) & (table2["postprocessing"] == "whitening")].set_index("metric")
    assert table2.loc[["nsc", "nscb"], "correct"].tolist() == [99, 87]


@pytest.mark.parametrize(("runs", "shown", "rows"), [(5, 3, 5), (5, 1, 2), (9, 3, 9), (2, 2, 2)])
def test_every_map_is_drawn_in_rows(treatments, tmp_path, runs, shown, rows):
    each = grid(seeds=range(runs))
    names = ["none", "whitening", "tvn"][:shown]
    found = pd.concat([treatments.assign(postprocessing=name) for name in names], ignore_index=True)
    scale = {"name": "demo", "note": NOTE, "stand_ins": {}}
    panel = declared(each, "nsc", "nscb", rows=["seed", "postprocessing"], scale=scale)
    records = as_records([line for run in each for line in values(found, run)])
    fig = treatments_plot.draw(panel, records, {"map": [as_map(found, tmp_path / "0.parquet")] * runs})
    fig.draw_without_rendering()
    titles = [one_line(ax.get_title(loc="left")) for ax in fig.axes]
    assert len(set(titles)) == runs * shown
    assert all(ax.collections for ax in fig.axes)
    assert fig.get_figwidth() == WIDTH
    places = [ax.get_subplotspec() for ax in fig.axes]
    assert max(place.rowspan.start for place in places) == rows - 1
    if shown > 1:  # a row per run, a column per post-processing
        assert [place.rowspan.start for place in places] == [run for run in range(runs) for _ in names]
    boxes = [ax.get_tightbbox() for ax in fig.axes]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_more_than_a_dozen_mechanisms_are_told_apart_or_refused(treatments):
    more = [f"mechanism {number:02}" for number in range(24)]
    many = treatments.assign(Metadata_MoA=[more[number % 24] for number in range(len(treatments))])
    fig = treatments_plot.figure([{"title": "", "treatments": many, "reason": ""}], NOTE)
    drawn = {part.get_label(): part.get_offsets() for part in fig.axes[0].collections}
    dotted = many[many["Metadata_MoA"] >= "mechanism 12"]
    dots = np.concatenate([places for label, places in drawn.items() if label.endswith("dots")])
    assert sorted(map(tuple, dots)) == sorted(zip(dotted["x"], dotted["y"], strict=True))
    fig.draw_without_rendering()
    legend = fig.legends[0].get_window_extent()
    assert legend.y0 >= fig.bbox.y0
    assert legend.y1 <= fig._suptitle.get_window_extent().y0
    one_more = many.assign(Metadata_MoA=many["Metadata_MoA"].where(many.index > 0, "another"))
    with pytest.raises(UserError, match="24 MoAs apart, here are 25"):
        treatments_plot.figure([{"title": "", "treatments": one_more, "reason": ""}])


@pytest.mark.parametrize("count", [1, 2, 3, 15])
def test_words_are_large_enough_on_the_page_and_apart_from_the_note(treatments, count):
    fig = treatments_plot.figure([{"title": "ResNet18", "treatments": treatments, "reason": ""}] * count, NOTE)
    fig.draw_without_rendering()
    words = [text for text in fig.findobj(Text) if text.get_text().strip() and text.get_visible()]
    assert min(text.get_fontsize() for text in words) >= SMALL
    note = fig._suptitle.get_window_extent()
    for text in words:
        box = text.get_window_extent()
        assert box.x0 >= fig.bbox.x0 - 1, text
        assert box.x1 <= fig.bbox.x1 + 1, text
        assert box.y0 >= fig.bbox.y0 - 1, text
        assert text is fig._suptitle or not note.overlaps(box), text
