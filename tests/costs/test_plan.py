"""The plan: what is shared counts once, what is done costs nothing, and every pace says where it is from."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
from pathlib import Path

import pytest
import yaml

from phenoviews.costs import page
from phenoviews.costs.finished import Finished, finished, folders, sections
from phenoviews.costs.paces import MEASURED, PROBED, SCALED, SHIPPED, Costs, Kind, Paces, measurement, plain, told_apart
from phenoviews.costs.plan import TRAINING, Sum, plan
from phenoviews.errors import UserError
from phenoviews.study import Study, paths
from phenoviews.study.document import shipped, users

CPU = "cpu (AVX512, 1 threads)"


@functools.cache
def at_scale(scale: str) -> Study:
    return study(scale=scale)


def study(**said) -> Study:
    document, users_part = users(said, shipped(), said)
    return Study(document, shipped(), users_part)


def planned(of: Study, *only: str, at_hand=(), calibration=None):
    panels = [of.panels[name] for name in only]
    return plan(of, panels, Paces(Costs(of.config), at_hand, calibration))


def ended(of: Study, run, images_per_s=1000.0, device=CPU, **changes) -> Finished:
    known = {
        "folder": Path(paths.run_file(of, paths.RUN, run)),
        "outcome": "finished",
        "run": of.pretraining(run),
        "seconds": 60.0,
        "images_per_s": images_per_s,
        "device": device,
        "job_seconds": 70.0,
        "memory_gb": None,
    }
    return Finished(**{**known, **changes})


def write_run(of: Study, run, **changes) -> None:
    """A run.yaml as `training.pretrain` writes it."""
    folder = Path(paths.run_file(of, paths.RUN, run))
    folder.mkdir(parents=True)
    said = {
        "outcome": "finished",
        **of.pretraining(run).to_dict(),
        "result": {
            **{"loss": 1.0, "spread": 0.9, "epoch_kept": 3},
            **{"seconds": 40.0, "job_seconds": 52.5, "images_per_s": 500.0},
        },
        "device": CPU,
        "precision": "float32",
    }
    (folder / "run.yaml").write_text(yaml.safe_dump({**said, **changes}, sort_keys=False))


# ---------------------------------------------------------------------------------------------------------------- sums
@pytest.mark.parametrize(("search", "more"), [({}, 0), ({"rounds": 3, "settings": 4, "seeds": 2, "candidates": 1}, 24)])
def test_what_an_audit_names_later_is_counted_at_the_most_and_once_it_is_named_by_its_name(
    tmp_path, monkeypatch, search, more
):
    monkeypatch.chdir(tmp_path)
    audit = {"dataset": "photographs", "start": "cifar", "method": "simclr", "backbone": "resnet18"}
    audit |= {"budget_gpu_hours": 40, **({"search": search} if search else {})}
    of = study(scale="demo", only=["mine_audit"], panels={"mine": {"audit": audit}})
    panel = of.panels["mine_audit"]
    its = [run for run in of.runs(panel) if of.is_trained(run)]
    seeds = len({run.seed for run in its})
    most = planned(of, "mine_audit")
    (section,) = (one for one in page.sections(most) if one.heading == "Audits")
    (line,) = (dict(zip(section.columns, row, strict=True)) for row in section.rows)
    assert int(line["Settings"]) * int(line["Seeds"]) == len(its)
    assert int(line["Epochs"]) == of.load(its[0]).epochs
    # With new seeds the set itself, what is recommended, and a search's candidates.
    again = seeds * (2 + search.get("candidates", 0))
    assert most.total.trainings == len(its) + more + again
    assert most.total.hours <= 40
    each = most.total.training_hours / most.total.trainings
    assert Sum.of(job for job in most.jobs.values() if " of mine_audit " in job.file).training_hours == pytest.approx(
        each * (more + again)
    )
    # Nothing is chosen; of a round's settings one is trained.
    folder = tmp_path / Path(paths.panel_file(of, panel, "choice.json")).parent
    folder.mkdir(parents=True)
    (folder / "audit.choice.json").write_text("[]")
    if search:
        (folder / "audit.search1.json").write_text('["cifar+hue=0.025"]')
        (trained, *_) = of.searched(panel, ["cifar+hue=0.025"])
        write_run(of, trained)
    found = planned(of, "mine_audit").total
    assert found.trainings == len(its) + (more - 8 + 2 if search else 0)
    assert found.trained == bool(search)


def test_shared_trainings_count_once_in_the_total_and_in_each_panel():
    """Figures 3 and 5 are of the same 1,450 trainings; Table 6 is of 150 of them, which it fine-tunes as well."""
    of = at_scale("paper")
    found = planned(of, "no_free_lunch_figure3", "no_free_lunch_figure5", "no_free_lunch_table6")
    assert [Sum.of(one.jobs.values()).trainings for one in found.panels] == [1450, 1450, 150]
    assert [one.shared for one in found.panels] == [1450, 1450, 150]
    assert found.total.trainings == 1450
    # 1,450 trainings, their probes, and 150 fine-tunings.
    assert len(found.jobs) == 1450 * 2 + 150
    assert found.total.hours < sum(Sum.of(one.jobs.values()).hours for one in found.panels) / 2
    assert found.total.hours == pytest.approx(sum(job.seconds for job in found.jobs.values()) / 3600)


def test_the_whole_paper_has_as_many_trainings_as_snakemake_plans():
    of = at_scale("paper")
    assert planned(of, *(panel.name for panel in of.asked)).total.trainings == 5232  # as tests/workflow/test_plan.py


def test_a_trainings_hours_are_those_of_its_images():
    of = at_scale("paper")
    found = planned(of, "no_free_lunch_figure1")
    (job, _) = [job for job in found.jobs.values() if job.what == TRAINING]
    # MNIST: 250 epochs of 1,875 steps of 32 images; two views, three passes and the momentum encoder's.
    assert (job.epochs, job.steps, job.images) == (250, 250 * 1875, 250 * 1875 * 32)
    assert job.pflop == pytest.approx(job.images * 2 * 4 * 2 * 0.15e9 / 1e15)
    # 6 ms for a step is more than 20 TFLOP/s need for it.
    assert job.seconds == pytest.approx(250 * 1875 * 0.006, rel=0.02)


# ---------------------------------------------------------------------------------------------------------------- done
def test_what_is_done_costs_nothing_more_and_stays_in_the_price(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of = at_scale("demo")
    runs = [of.on_disk(run) for run in of.runs(of.panels["no_free_lunch_figure1"])]
    write_run(of, runs[0])
    found = planned(of, "no_free_lunch_figure1")
    assert (found.total.trainings, found.total.trained) == (2, 1)
    left = {job.run: job.left for job in found.jobs.values()}
    assert left[runs[0]] == 0
    assert left[runs[1]] > 0
    assert found.total.hours_left < found.total.hours


def test_a_run_whose_images_its_seed_draws_is_done_where_its_files_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of = study(scale="demo")
    runs = [run for run in of.runs(of.panels["no_free_lunch_table2"]) if of.is_trained(run)]
    write_run(of, of.on_disk(of.spelled(runs[0])))
    assert planned(of, "no_free_lunch_table2").total.trained == 1


def test_a_run_of_other_settings_is_not_done(tmp_path, monkeypatch):
    """Its path is the same; Snakemake would train it again."""
    monkeypatch.chdir(tmp_path)
    of = at_scale("demo")
    (run, *_) = (of.on_disk(run) for run in of.runs(of.panels["no_free_lunch_figure1"]))
    training = {**of.pretraining(run).training.to_dict(), "epochs": 99}
    write_run(of, run, training=training)
    found = planned(of, "no_free_lunch_figure1")
    assert found.total.trained == 0
    assert found.total.hours_left == found.total.hours


def test_a_setting_that_decides_no_weights_leaves_it_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of = at_scale("demo")
    (run, *_) = (of.on_disk(run) for run in of.runs(of.panels["no_free_lunch_figure1"]))
    write_run(of, run, training={**of.pretraining(run).training.to_dict(), "checkpoint_minutes": 3})
    assert planned(of, "no_free_lunch_figure1").total.trained == 1


def test_a_probe_of_a_training_that_is_made_again_is_made_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of = at_scale("demo")
    for run in {of.on_disk(run) for run in of.runs(of.panels["no_free_lunch_table6"])}:
        file = Path(paths.run_file(of, paths.MEASURE, run, measure="probe"))
        file.parent.mkdir(parents=True)
        file.touch()
    found = planned(of, "no_free_lunch_table6")
    assert not any(job.done for job in found.jobs.values())


def test_a_run_that_collapsed_is_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of = at_scale("demo")
    (run, *_) = (of.on_disk(run) for run in of.runs(of.panels["no_free_lunch_figure1"]))
    write_run(of, run, outcome="collapsed in epoch 3, spread 0.001")
    assert planned(of, "no_free_lunch_figure1").total.trained == 1


# --------------------------------------------------------------------------------------------------------------- paces
def two_runs(of: Study):
    """A run of MoCo and one of BYOL, of one backbone."""
    runs = [of.on_disk(run) for run in of.runs(of.panels["no_free_lunch_table7"]) if of.is_trained(run)]
    small = [run for run in runs if run.backbone == "vgg11"]
    return {run.method: run for run in small}.values()


def test_a_kind_that_ran_here_has_its_own_pace():
    of = at_scale("demo")
    moco, byol = two_runs(of)
    paces = Paces(Costs(of.config), [ended(of, moco, 250.0), ended(of, moco, 1000.0), ended(of, moco, 500.0)])
    assert paces.of(of.pretraining(moco)).seconds == 1 / 500
    assert paces.of(of.pretraining(moco)).origin == MEASURED
    # The other's is scaled by what is to be computed, of which both have four passes.
    assert paces.of(of.pretraining(byol)).origin == SCALED
    assert paces.of(of.pretraining(byol)).seconds == pytest.approx(1 / 500)
    assert paces.start == 10


def test_seeds_and_numbers_are_of_one_kind_and_batches_and_widths_are_not():
    of = at_scale("demo")
    runs = [of.on_disk(run) for run in of.runs(of.panels["no_free_lunch_figure3"])]
    kinds = {run: Kind.of(of.pretraining(run)) for run in runs}
    assert {kind.method for kind in kinds.values()} == {"simclr", "barlow"}
    assert len(set(kinds.values())) == 2
    run = of.pretraining(runs[0])
    wider = dataclasses.replace(run, backbone=dataclasses.replace(run.backbone, width=0.5))
    larger = dataclasses.replace(run, training=dataclasses.replace(run.training, batch_size=7))
    assert len({Kind.of(run), Kind.of(wider), Kind.of(larger)}) == 3


def test_kinds_of_one_name_are_told_apart_by_what_they_lack():
    heads = json.dumps({"projector": {"hidden": [512], "out": 128}})
    whole = Kind("vgg11", 32, 3, "simclr", heads, "crop random_flip normalize crop random_flip normalize", 256, "fp32")
    flipless = dataclasses.replace(whole, views="crop normalize crop normalize")
    wider = dataclasses.replace(whole, heads=json.dumps({"projector": {"hidden": [1024], "out": 128}}))
    other = dataclasses.replace(whole, method="byol")
    names = told_apart([whole, flipless, wider, other])
    assert names == [
        whole.name,
        f"{whole.name} · without random flip",
        f"{whole.name} · projector.hidden [1024]",
        other.name,
    ]


def test_without_measurements_the_page_says_that_it_is_the_shipped_figure():
    of = at_scale("demo")
    paces = Paces(Costs(of.config), [])
    assert paces.of(of.pretraining(next(iter(two_runs(of))))).origin == SHIPPED
    assert "nothing was measured on your device" in paces.origin()


def test_another_device_and_failed_runs_say_nothing_of_this_one():
    of = at_scale("demo")
    moco, _ = two_runs(of)
    here = [ended(of, moco, 100.0), ended(of, moco, 100.0), ended(of, moco, 7.0, outcome="not a number in epoch 1")]
    paces = Paces(Costs(of.config), [*here, ended(of, moco, 9000.0, device="NVIDIA H100")])
    assert paces.device == CPU
    assert paces.of(of.pretraining(moco)).seconds == 1 / 100
    assert "1 trainings on other devices were left aside" in paces.origin()


def test_a_calibration_decides_the_device_and_runs_are_preferred_to_probes():
    of = at_scale("demo")
    moco, byol = two_runs(of)
    costs = Costs(of.config)
    probes = [plain(measurement(costs, of.pretraining(run), 0.25, PROBED, 3.5)) for run in (moco, byol)]
    calibrated = {"device": "NVIDIA H100", "when": "2026-01-01", "start_seconds": 8.0, "kinds": probes, "too_large": []}
    at_hand = [ended(of, moco, 9000.0, device="NVIDIA H100", job_seconds=None), *[ended(of, moco, 5.0)] * 3]
    paces = Paces(costs, at_hand, calibrated)
    assert paces.of(of.pretraining(moco)).origin == MEASURED
    assert paces.of(of.pretraining(moco)).seconds == 1 / 9000
    assert (paces.of(of.pretraining(byol)).origin, paces.of(of.pretraining(byol)).memory_gb) == (PROBED, 3.5)
    assert paces.start == 8
    assert "NVIDIA H100" in paces.origin()
    assert "2026-01-01" in paces.origin()


# -------------------------------------------------------------------------------------------------------- what one has
def test_run_yaml_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of = at_scale("demo")
    (run, *_) = (of.on_disk(run) for run in of.runs(of.panels["no_free_lunch_figure1"]))
    write_run(of, run)
    (found,) = finished(folders(Path("results")))
    assert found.run.decisive() == of.pretraining(run).decisive()
    assert (found.seconds, found.images_per_s, found.job_seconds, found.device) == (40, 500, 52.5, CPU)


def test_a_broken_run_yaml_is_no_finished_run(tmp_path):
    for number, text in enumerate(["", "outcome: finished\n", "outcome: [\n", "result: 3\noutcome: finished\n"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "run.yaml").write_text(text)
    assert list(finished(tmp_path.iterdir())) == []


def test_sections_of_a_document():
    text = yaml.safe_dump({"a": {"b": [1, {"c": 2}]}, "d": [1, 2], "e": "x " * 80}, sort_keys=False)
    found = sections(text)
    assert {key: yaml.safe_load(part)[key] for key, part in found.items()} == yaml.safe_load(text)


# -------------------------------------------------------------------------------------------------------------- budget
def test_the_cheapest_panels_come_first_and_what_they_share_is_paid_once():
    of = at_scale("paper")
    found = planned(of, *(f"no_free_lunch_{item}" for item in ("figure3", "figure5", "figure1", "table1")))
    costs = {one.panel.item: one for one in found.panels}
    both = Sum.of({**costs["table1"].jobs, **costs["figure1"].jobs}.values()).hours
    chosen, spent = found.within(both + 0.1)
    # Figure 1's two trainings are among Table 1's.
    assert [one.panel.item for one in chosen] == ["figure1", "table1"]
    assert spent == pytest.approx(both)
    assert found.within(0.01) == ([], 0.0)
    everything, all_of_it = found.within(1e9)
    assert len(everything) == 4
    assert all_of_it == pytest.approx(found.total.hours)


def test_wall_time_is_no_less_than_the_longest_job():
    of = at_scale("paper")
    found = planned(of, "single_cell_table2")
    longest = max(job.seconds for job in found.jobs.values()) / 3600
    assert found.wall_hours(1) == pytest.approx(found.total.hours)
    assert found.wall_hours(1000) == pytest.approx(longest)


# ---------------------------------------------------------------------------------------------------------------- page
def test_all_forms_have_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of = study(scale="paper", budget_gpu_hours=30)
    found = planned(of, "no_free_lunch_figure1", "no_free_lunch_table1")
    files = {form: tmp_path / f"plan.{form}" for form in ("md", "html", "csv")}
    gist = page.write(found, files, of.config["budget_gpu_hours"])
    assert gist.startswith("25 trainings; ")
    text, html = files["md"].read_text(), files["html"].read_text()
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    assert [row["panel"] for row in rows] == ["no_free_lunch_figure1", "no_free_lunch_table1", "total"]
    assert rows[-1]["trainings"] == "25"
    assert float(rows[-1]["hours"]) == pytest.approx(found.total.hours, abs=1e-3)
    hours = f"{found.total.hours:,.1f}"
    for said in (hours, "no_free_lunch_figure1", "mnist", "Within 30.0 GPU-hours", "the shipped figures"):
        assert said in text
        assert said in html
    assert "<script" not in html
    assert "http" not in html


@pytest.mark.parametrize("size", [32, 64, 96])
@pytest.mark.parametrize("more", [{}, {"shortest": 0.25}, {"objective": "knn"}])
def test_an_audit_costs_no_more_than_its_budget(size, more):
    """Its probes too: on random views one sees every image anew a hundred times, which may be more than the training.
    But for the starts of its jobs, which the plan counts one by one, and at more."""
    mine = {"kind": "folder", "path": "photos", "size": size, "recipe": "cifar", "images": 8000}
    audit = {"dataset": "mine", "start": "cifar", "method": "simclr", "backbone": "resnet18", "budget_gpu_hours": 20}
    found = planned(study(datasets={"mine": mine}, panels={"mine": {"audit": {**audit, **more}}}), "mine_audit")
    assert 0.5 * 20 < found.total.hours <= 1.05 * 20


def test_images_that_are_not_there_are_a_guess_and_the_plan_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = {"kind": "folder", "path": "photos", "size": 32, "recipe": "cifar"}
    runs = {"dataset": "mine", "transform": "cifar", "method": "simclr", "backbone": "resnet18"}
    table = {"title": "Mine", "runs": runs, "metrics": ["top1"], "rows": ["method"], "columns": ["metric"]}

    def lines(**more) -> list[str]:
        of = study(scale="paper", datasets={"mine": {**mine, **more}}, panels={"mine": {"table": table}})
        files = {form: tmp_path / f"plan.{form}" for form in ("md", "html", "csv")}
        _, *guesses = page.write(planned(of, "mine_table"), files).splitlines()
        assert all(guess in files["md"].read_text() for guess in guesses)
        return guesses

    (guess,) = lines()
    assert guess.startswith(
        "Nothing says how many images dataset 'mine' has, for photos is not there: 10,000 are assumed"
    )
    assert lines(images=600) == []
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(400):
            (tmp_path / "photos" / name / f"{number}.png").touch()
    assert lines() == []


def test_only_names_panels_or_papers():
    of = study(scale="demo", only=["no_free_lunch_table1, single_cell"])
    assert {panel.name for panel in of.asked} == {"no_free_lunch_table1"} | {
        panel.name for panel in of.panels.values() if panel.paper == "single_cell"
    }
    everything = at_scale("demo")
    assert everything.asked == [panel for panel in everything.panels.values() if not panel.on_demand]
    with pytest.raises(UserError, match="no panel 'no_free_lunch_tabel1'; did you mean no_free_lunch_table1"):
        study(scale="demo", only="no_free_lunch_tabel1")
