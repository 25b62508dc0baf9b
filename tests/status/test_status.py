"""The state of a study from its files: each state, what is left, and what no file says."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from phenoviews.errors import BEGAN, UserError
from phenoviews.status import queue, report
from phenoviews.status.__main__ import main
from phenoviews.status.states import COLLAPSED, DONE, FAILS, INTERRUPTED, RUNNING, WAITING, comment_of, grouped, state

HERE = platform.node()
NAME = "digits/mnist_first/moco/vgg11/seed{}"


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "results" / "demo"


@pytest.fixture
def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def note(folder: Path, names, when=1000.0, to_do=True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    trainings = {name: {"epochs": 10, "images": 1000, "to_do": to_do} for name in names}
    (folder / "asked.json").write_text(json.dumps({"when": when, "trainings": trainings}))


def ended(folder: Path, name: str, outcome="finished", seconds=20.0, images_per_s=50.0) -> Path:
    file = folder / "runs" / name / "run.yaml"
    file.parent.mkdir(parents=True)
    result = {"loss": 1.0, "seconds": seconds, "images_per_s": images_per_s}
    file.write_text(yaml.safe_dump({"outcome": outcome, "dataset": {"name": "x"}, "result": result}, sort_keys=False))
    return file


def logged(folder: Path, name: str, text: str, log="pretrain.log") -> None:
    file = folder / "runs" / name / "logs" / log
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def tells(folder: Path, name: str, process: int, host=HERE, updated=None, what="training") -> None:
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    said = {
        **{"what": what, "run": name, "host": host, "process": process},
        **{"updated": time.time() if updated is None else updated, "step": 40, "steps": 100, "epoch": 4, "epochs": 10},
        **{"batch": 10, "images_per_s": 20.0, "loss": 2.5, "rows": [{"epoch": 0, "seconds": 7.0}]},
    }
    (folder / "checkpoints" / f"{abs(hash((name, what)))}.json").write_text(json.dumps(said))


def last_words(process: int, host=HERE, began="2026-01-01 00:00:00") -> str:
    return f"{BEGAN}x.log began at {began} on {host}, process {process}. If it runs no more, a signal has ended it.\n"


def states(folder: Path, **options) -> dict[str, str]:
    return {one.name: one.state for one in state(folder, **options).trainings}


# -------------------------------------------------------------------------------------------------------------- states
def test_each_state(folder, gone):
    names = {
        key: NAME.format(number) for number, key in enumerate((DONE, COLLAPSED, RUNNING, INTERRUPTED, FAILS, WAITING))
    }
    note(folder, names.values())
    ended(folder, names[DONE])
    ended(folder, names[COLLAPSED], outcome="collapsed in epoch 3, spread 0.001")
    tells(folder, names[RUNNING], os.getpid())
    tells(folder, names[INTERRUPTED], gone)
    logged(folder, names[FAILS], "phenoviews: error: images.npy: cannot be opened\n")
    assert states(folder) == {name: key for key, name in names.items()}
    found = {one.state: one for one in state(folder).trainings}
    assert found[COLLAPSED].line == "collapsed in epoch 3, spread 0.001"
    assert found[FAILS].line == "images.npy: cannot be opened"
    # 60 steps of 10 images at 20 images/s.
    assert (found[RUNNING].left, found[RUNNING].epoch, found[RUNNING].loss) == (30.0, 4, 2.5)


def test_a_process_that_was_killed_before_it_told_anything_failed(folder, gone):
    note(folder, [NAME.format(1)])
    logged(folder, NAME.format(1), last_words(gone))
    (one,) = state(folder).trainings
    assert one.state == FAILS
    assert "by a signal" in one.line


def test_a_job_that_has_just_begun_runs(folder):
    note(folder, [NAME.format(1)])
    logged(folder, NAME.format(1), last_words(os.getpid()))
    assert states(folder) == {NAME.format(1): RUNNING}


def test_what_is_made_again_is_not_done_by_its_old_run_yaml(folder):
    """Snakemake trains it again, since a setting has changed; the old file lies there until that begins."""
    note(folder, [NAME.format(1), NAME.format(2)], when=time.time())
    old = ended(folder, NAME.format(1))
    os.utime(old, (1000, 1000))
    assert states(folder) == {NAME.format(1): WAITING, NAME.format(2): WAITING}
    os.utime(old)
    note(folder, [NAME.format(1)], when=time.time() - 60)
    assert states(folder) == {NAME.format(1): DONE}


def test_what_was_there_before_the_call_is_done(folder):
    note(folder, [NAME.format(1)], when=time.time() + 60, to_do=False)
    ended(folder, NAME.format(1))
    assert states(folder) == {NAME.format(1): DONE}


def test_of_another_machine_what_told_something_a_moment_ago_runs(folder):
    note(folder, [NAME.format(1), NAME.format(2)])
    tells(folder, NAME.format(1), 1, host="node7", updated=5000.0)
    tells(folder, NAME.format(2), 1, host="node7", updated=4000.0)
    assert states(folder, now=5100.0) == {NAME.format(1): RUNNING, NAME.format(2): INTERRUPTED}
    # What Slurm runs, runs, whatever it tells: the embeddings of a large data set take their time.
    comments = [comment_of("demo", NAME.format(2))]
    assert states(folder, queued=comments, now=5100.0) == dict.fromkeys([NAME.format(1), NAME.format(2)], RUNNING)


def test_an_error_is_told_though_an_earlier_try_was_on_its_way(folder, gone):
    note(folder, [NAME.format(1)])
    tells(folder, NAME.format(1), gone)
    logged(folder, NAME.format(1), "phenoviews: failed: ValueError: shapes differ\n")
    assert states(folder) == {NAME.format(1): FAILS}


def test_other_jobs_that_failed_are_told_with_their_line(folder):
    note(folder, [NAME.format(1)])
    ended(folder, NAME.format(1))
    logged(folder, NAME.format(1), "phenoviews: error: a probe of nothing\n", log="probe.log")
    (folder / "panels" / "paper").mkdir(parents=True)
    (folder / "panels" / "paper" / "table1.log").write_text("phenoviews: failed: KeyError: 'top1'\n")
    found = state(folder)
    assert {one.log.name: one.line for one in found.failed} == {
        "probe.log": "a probe of nothing",
        "table1.log": "KeyError: 'top1'",
    }
    assert "a probe of nothing" in report.text(found, None)


def test_a_fine_tuning_that_runs_is_no_training(folder):
    note(folder, [NAME.format(1)])
    ended(folder, NAME.format(1))
    tells(folder, NAME.format(1), os.getpid(), what="fine-tuning")
    found = state(folder)
    assert [one.state for one in found.trainings] == [DONE]
    assert [one["what"] for one in found.others] == ["fine-tuning"]


# --------------------------------------------------------------------------------------------------------------- hours
def test_what_is_spent_and_left(folder):
    """One of 3,600 s is done, at 50 images/s; of its like three wait, of 1,000 images each; one runs, for 30 s yet."""
    note(folder, [NAME.format(number) for number in range(5)])
    ended(folder, NAME.format(0), seconds=3600.0)
    tells(folder, NAME.format(1), os.getpid())
    found = state(folder)
    assert found.spent_hours == pytest.approx((3600 + 7) / 3600)
    # The median of 1/50 and 1/20 seconds per image.
    assert found.left_hours() == pytest.approx((30 + 3 * 1000 * 0.035) / 3600)


def test_without_anything_measured_nothing_is_guessed(folder):
    note(folder, [NAME.format(1)])
    assert state(folder).left_hours() is None
    assert "not known" in report.text(state(folder), None)


# -------------------------------------------------------------------------------------------------------------- others
def test_a_fault_of_ours_leaves_its_line(tmp_path):
    from phenoviews.job import reported  # here: it stops the looking for garbage until its body begins

    log = tmp_path / "job.log"
    with pytest.raises(ZeroDivisionError), reported(log):
        1 / 0  # noqa: B018
    assert log.read_text() == "phenoviews: failed: ZeroDivisionError: division by zero\n"
    with pytest.raises(SystemExit), reported(log):
        raise UserError("no file; make one")
    assert log.read_text() == "phenoviews: error: no file; make one\n"
    with reported(log):
        pass
    assert not log.exists()


def test_lines_that_differ_in_their_epoch_are_one():
    lines = [("a", "collapsed in epoch 3, spread 0.01"), ("b", "collapsed in epoch 9, spread 0.02"), ("c", "other")]
    assert grouped(lines) == [("collapsed", ["a", "b"]), ("other", ["c"])]


def test_the_queues_lines():
    lines = """\
12|RUNNING|None|rule_pretrain_wildcards_demo_digits_mnist_first_moco_vgg11_5
13|PENDING|Priority|rule_probe_wildcards_demo_x
14|PENDING|Resources|rule_probe_wildcards_demo_y
15|RUNNING|None|
"""
    jobs = queue.parsed(lines)
    assert [job.id for job in jobs] == ["12", "13", "14"]
    assert queue.running(jobs) == [comment_of("demo", NAME.format(5))]
    assert queue.summary(jobs) == "2 pending (1 Priority, 1 Resources), 1 running"
    assert queue.summary([]) == "no jobs of ours"


def test_five_thousand_runs_take_seconds(folder, capsys):
    """Made up: 3,000 done, 60 of them collapsed, 100 running, 50 failed; the rest waits."""
    names = [f"cifar100/cifar+hue={number % 50 / 100}/simclr/resnet18/seed{number // 50}" for number in range(5000)]
    note(folder, names)
    for number, name in enumerate(names[:3150]):
        if number < 3000:
            ended(folder, name, outcome="not a number in epoch 2, lr 1" if number % 50 == 0 else "finished")
        elif number < 3100:
            tells(folder, name, os.getpid())
        else:
            logged(folder, name, "phenoviews: error: no space left\n")
    began = time.perf_counter()
    assert main([str(folder)]) == 0
    seconds = time.perf_counter() - began
    said = capsys.readouterr().out
    assert "5,000 trainings: 2,940 done, 60 collapsed, 100 running, 50 failed, 1,850 waiting" in said
    assert "and 49 more: no space left" in said
    print(f"{seconds:.2f} s")


def test_a_folder_that_is_none_is_refused(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "is no folder of a scale" in capsys.readouterr().err


def test_tensorboards_curves_are_added_to(folder, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    name = NAME.format(1)
    file = ended(folder, name)
    head = "epoch,loss,lr,spread,ami,seconds,images_per_s,memory_gb\n"
    file.with_name("history.csv").write_text(f"{head}0,2.5,0.1,0.9,,3.0,100.0,\n")
    out = tmp_path / "curves"
    assert main([str(folder), "--tensorboard", str(out)]) == 0
    file.with_name("history.csv").write_text(f"{head}0,2.5,0.1,0.9,,3.0,100.0,\n1,1.5,0.2,0.8,,3.0,110.0,\n")
    assert main([str(folder), "--tensorboard", str(out)]) == 0
    found = EventAccumulator(str(out / "demo" / name)).Reload()
    assert [(event.step, event.value) for event in found.Scalars("loss")] == [(0, 2.5), (1, 1.5)]
    assert "ami" not in found.Tags()["scalars"]
