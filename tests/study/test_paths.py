"""Where files lie, and which of them rules need."""

from __future__ import annotations

import re

import pytest

from phenoviews.study import Run, Study, paths
from phenoviews.study.document import merge, shipped
from phenoviews.study.panel import PLOTS
from phenoviews.study.resolved import Pretraining


def study(scale="paper", **patch):
    return Study(merge({**shipped(), "scale": scale}, patch))


@pytest.fixture(scope="module")
def paper():
    return study()


def test_a_pattern_of_names_takes_overrides_and_no_other_names(paper):
    cells = re.compile(paths.names_of(paper, "datasets", "cells"))
    for name in ("cells_taxol", "cells_taxol+cells=100+split_seed=5"):
        assert cells.fullmatch(name)
    for name in ("mnist", "treatments", "cells_taxol_2", "cells_taxol/plain", "cells_taxol+cells=1/plain"):
        assert not cells.fullmatch(name)
    assert not re.search(paths.names_of(paper, "datasets", "no_such_kind"), "mnist")


def test_a_file_of_a_run_lies_where_the_draw_of_its_dataset_says(paper):
    run = Run("cells_taxol", "dual", "moco", "vgg13", 6)
    there = "cells_taxol+split_seed=6"
    file = paths.run_file(paper, paths.EMBEDDINGS, run, evaluate="encoder")
    assert file == f"results/paper/runs/{there}/dual/moco/vgg13/seed6/embeddings/encoder.npy"
    assert paths.run_file(paper, paths.INDEX, run) == f"results/data/{there}/index.parquet"


def test_data_are_made_of_downloads_or_of_what_the_user_brings(paper, monkeypatch):
    assert paths.raw_data(paper, "cifar10") == ["results/downloads/cifar10/cifar-10-python.tar.gz"]
    assert paths.raw_data(paper, "digits") == []
    monkeypatch.setenv("HOME", "/home/me")
    mine = {**shipped()["datasets"]["digits"], "kind": "folder", "path": "~/images"}
    assert paths.raw_data(study(datasets={"mine": mine}), "mine") == ["/home/me/images"]
    assert paths.raw_data(paper, "imagenet100") == []  # so that it can be planned where it is not


def test_of_imagenet_the_listed_classes_are_watched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "classes.txt").write_text("n1 n2")
    entry = {"path": "imagenet", "classes": "classes.txt", "ground_truth": "truth.txt"}
    one = study(datasets={"imagenet100": entry})
    assert paths.brought(one, "datasets", "imagenet100") == []
    for name in ("train/n1", "train/n2", "train/n3", "val"):
        (tmp_path / "imagenet" / name).mkdir(parents=True)
    watched = ["imagenet/train/n1", "imagenet/train/n2", "imagenet/val", "truth.txt"]
    assert paths.brought(one, "datasets", "imagenet100") == watched
    (tmp_path / "meta.mat").touch()
    assert paths.brought(one, "datasets", "imagenet100") == [*watched, "meta.mat"]
    (tmp_path / "imagenet/val/n2").mkdir()
    assert paths.brought(one, "datasets", "imagenet100")[2] == "imagenet/val/n2"


def test_a_download_is_told_its_checksum_and_no_mirror(paper):
    declared = paths.declared_file(paper, "cifar10", "cifar-10-python.tar.gz")
    assert declared == shipped()["datasets"]["cifar10"]["files"]["archive"]
    archive = "BBBC021_v1_images_Week1_22123.zip"
    assert paths.declared_file(paper, "bbbc021", archive) == {"name": archive}
    assert paths.simulated(paper, "bbbc021", archive) == []
    assert paths.simulated(paper, "simulated", archive) == [f"results/simulation/simulated/{archive}"]


SCREEN = {
    "kind": "pattern",
    "path": "../screen",
    "pattern": "{plate}/{well}_f{site}_{channel}.tif",
    "channels": {"DNA": "a", "tubulin": "b", "actin": "c"},
    "platemap": "../platemap.csv",
    "locations": "../centres.csv",
}


def test_a_screen_is_read_from_archives_or_from_the_users_folder(paper):
    tables = paths.screen_files(paper, "bbbc021")
    assert tables == {
        "images": "results/downloads/bbbc021/BBBC021_v1_image.csv",
        "moa": "results/downloads/bbbc021/BBBC021_v1_moa.csv",
    }
    archive = "results/downloads/bbbc021/BBBC021_v1_images_Week1_22123.zip"
    assert paths.pictures(paper, "bbbc021", "Week1_22123") == archive
    assert paths.locations(paper, "bbbc021") == []
    table = {key: SCREEN[key] for key in ("channels", "platemap")} | {"kind": "loaddata", "path": "../screen/load.csv"}
    mine = study(screens={"lab": SCREEN, "listed": table})
    assert paths.screen_files(mine, "lab") == {"path": "../screen", "platemap": "../platemap.csv"}
    assert paths.pictures(mine, "lab", "plateA") == "../screen"
    assert paths.pictures(mine, "listed", "plateA") == "../screen"  # the folder of the table
    assert paths.locations(mine, "lab") == ["../centres.csv"]


def test_a_dataset_of_cells_needs_its_own_plates_and_the_truth_where_there_is_one(paper):
    plates = ["Week1_22123", "Week1_22141", "Week1_22161"]
    files = paths.cell_files(paper, "cells_taxol+split_seed=5")
    assert files["fields"] == ["results/screens/bbbc021/fields.parquet"]
    assert files["nuclei"] == [f"results/screens/bbbc021/nuclei/{plate}.parquet" for plate in plates]
    assert {kind: len(names) for kind, names in files.items()} == {
        "fields": 1,
        "pictures": 3,
        "illumination": 3,
        "nuclei": 3,
        "intensities": 3,
    }
    truth = paths.cell_files(paper, "simulated_treatments")["truth"]
    assert truth[0] == "results/simulation/simulated/Week1_00001.truth.parquet"


def test_a_plate_has_its_pictures_once_whoever_shows_it(paper):
    pictures = paths.plate_pictures(paper, ["cells_taxol", "mnist", "cells_taxol", "cells_nocodazole"])
    assert pictures == [
        f"results/screens/bbbc021/{folder}/{plate}.png"
        for plate in ("Week1_22123", "Week1_22141", "Week1_22161")
        for folder in ("qc", "illumination")
    ]
    assert paths.plate_pictures(paper, ["mnist"]) == []


def test_embeddings_are_the_projectors_where_there_is_one(paper):
    asked = study(measures={"evaluate": "projector"})
    trained, given = (Run("mnist", "plain", method, "vgg11", 5) for method in ("moco", "imagenet"))
    assert paths.embeddings(paper, trained).endswith("/embeddings/encoder.npy")
    assert paths.embeddings(asked, trained).endswith("/embeddings/projector.npy")
    assert paths.embeddings(asked, given).endswith("/embeddings/encoder.npy")


def test_weights_are_those_that_the_encoder_starts_from(paper):
    def weights(method, backbone):
        return paths.weights(paper, paper.spelled(Run("mnist", "plain", method, backbone, 5)))

    assert weights("moco", "vgg11") == []
    assert weights("moco", "vgg11+init=imagenet") == ["results/weights/vgg11_bn.json"]
    assert weights("imagenet", "vgg11") == ["results/weights/vgg11.json"]  # without batch normalisation
    assert weights("moco", "resnet50_imagenet") == ["results/weights/resnet50.json"]
    assert weights("imagenet", "vgg11+init=mine.pt") == ["mine.pt"]


@pytest.mark.parametrize(
    ("chosen", "files"),
    [("none", []), ("download", ["results/weights/alexnet.json"]), ("mine.pt", ["mine.pt"])],
)
def test_the_weights_of_lpips(chosen, files):
    assert paths.lpips_weights(study(measures={"lpips": {"weights": chosen}})) == files


def test_a_checkpoint_is_named_by_the_training_and_its_code(paper):
    def named(method="moco", dataset="mnist", code="abc", of=paper):
        run = of.spelled(Run(dataset, "plain", method, "vgg11", 5))
        return paths.checkpoint(of, run, Pretraining.of(of.resolve(run)).decisive(), code)

    assert re.fullmatch(r"results/paper/checkpoints/[0-9a-f]{20}\.pt", named())
    others = [named("moco+lr=0.1"), named(code="abd"), named(dataset="mnist+images=100"), named(dataset="digits")]
    assert len({named(), *others}) == 5
    watched = study(recipes={"mnist": {"training": {"checkpoint_minutes": 1}}})
    assert named(of=watched) == named()


def test_people_look_at_a_table_in_markdown_and_at_a_figure_as_a_picture(paper):
    panels = [paper.panels[name] for name in ("no_free_lunch_table1", "single_cell_figure2")]
    assert paths.first_look(paper, panels) == [
        "results/paper/panels/no_free_lunch/table1.md",
        "results/paper/panels/single_cell/figure2.png",
    ]


def test_a_panel_has_a_file_per_run_for_each_of_its_measures(paper):
    panel = paper.panels["no_free_lunch_table1"]
    runs = paper.runs(panel)[:2]
    files = paths.measures(paper, panel, runs)
    assert list(files) == ["clusters", "probe", "lpips"]
    where = "mnist/mnist_rot_crop"
    assert files["clusters"][1] == f"results/paper/runs/{where}/moco/vgg11/seed6/measures/clusters-k10.parquet"
    assert files["probe"][1] == f"results/paper/runs/{where}/moco/vgg11/seed6/measures/probe.parquet"
    assert files["lpips"][1] == f"results/paper/views/{where}/seed6/measures/lpips.parquet"
    assert [len(of) for of in files.values()] == [2, 2, 2]


def test_a_figure_has_what_it_draws_besides(paper):
    panel = paper.panels["no_free_lunch_figure2"]
    run = paper.runs(panel)[0]
    assert paths.figure_files(paper, panel, [run]) == {
        "index": ["results/data/cells_nocodazole+split_seed=5/index.parquet"],
        "images": ["results/data/cells_nocodazole+split_seed=5/images.npy"],
        "points": [paths.run_file(paper, paths.POINTS, run, k=4)],
    }
    assert set(paths.FIGURE_FILES) == set(PLOTS)


def test_an_encoder_is_made_from_its_training_or_from_weights(paper):
    trained, given = (Run("mnist", "plain", method, "vgg11", 5) for method in ("moco", "imagenet"))
    folder = "results/paper/runs/mnist/plain/moco/vgg11/seed5"
    assert paths.networks(paper, trained) == {name: f"{folder}/{name}.pt" for name in ("encoder", "projector")}
    assert paths.networks(paper, given) == {"weights": ["results/weights/vgg11.json"]}
