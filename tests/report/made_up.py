"""Made-up results of a study, with the files that its rules would leave, written by the functions that these call."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure
from PIL import Image
from tests.panels.conftest import as_records, declared, grid, record

from phenoviews import values
from phenoviews.data import embeddings
from phenoviews.panels import audit_files, numbers
from phenoviews.panels.style import save
from phenoviews.study.metrics import AGREEMENT, COUNTABLE, counted

NOTE = "Demo scale: made up <for tests>."
CLAIMS = [{"id": "P.T1.c1", "says": "One keeps more than two.", "holds": ["ami of one > ami of two"]}]
PUBLISHED = [
    {"paper": "p", "panel": "table1", "dataset": "digits", "transform": name, "method": "moco", "backbone": "vgg11",
     "metric": "ami", "unit": "", "value": value, "n_seeds": "5", "decimals": "2", "note": "", "quoted": ""}
    for name, value in (("one", "0.83"), ("two", "0.37"))
]  # fmt: skip
LABELS = {"one": "First <b>set</b>", "two": "Second set"}


def study(
    results: Path, seeds: tuple[int, ...] = (5, 6, 7), transforms: tuple[str, ...] = ("one", "two"), plates: int = 1
) -> dict[str, Any]:
    """Write the results below a folder, and return what the page is told of them: a table and a figure of the same runs
    each, of which the last of transform two has collapsed."""
    each = grid(transform=transforms, seeds=seeds)
    lines = []
    for run in each:
        folder = f"{results}/runs/{name(run)}"
        failed = run["transform"] == "two" and run["seed"] == seeds[-1]
        training(Path(folder), run, failed)
        value = float("nan") if failed else 0.8 - 0.2 * transforms.index(run["transform"]) / len(transforms)
        value += 0.013 * seeds.index(run["seed"])
        reason = "collapsed in epoch 3, spread 0.0001" if failed else ""
        line = record(run["transform"], run["seed"], "ami", value, reason)
        lines.append({**line, "source": f"{folder}/measures/clusters.parquet"})
    scale = {"name": "demo", "note": NOTE, "stand_ins": {}}
    found, panels = as_records(lines), []
    for item, more in (("table1", {}), ("figure1", {"plot": "tsne"})):
        metrics = ["ami"] if item == "table1" else []
        panel = declared(each, *metrics, name=f"p_{item}", title="What <is> kept", scale=scale, labels=LABELS, **more)
        suffixes = ["json", "csv", "md", "tex", "claims.csv"] if metrics else ["json"]
        files = {suffix.split(".")[0]: str(results / f"panels/p/{item}.{suffix}") for suffix in suffixes}
        numbers.write(panel, found, files, PUBLISHED, CLAIMS if metrics else [])
        if not metrics:
            files |= {suffix: str(results / f"panels/p/{item}.{suffix}") for suffix in ("png", "pdf")}
            save(Figure(figsize=(2, 1)), files["png"], files["pdf"])
        panels.append({"name": f"p_{item}", "paper": "p", "item": item, "caption": "A *caption*.", "files": files})
    return {
        **told_of(results, seeds),
        "panels": panels,
        "screens": {"screen": {"label": "Screen", "plates": [plate(results, f"plate{at}") for at in range(plates)]}},
        "pictures": [str(pictures(results, transforms[:3]))],
    }


def told_of(results: Path, seeds: tuple[int, ...]) -> dict[str, Any]:
    """What the page is told, of nothing."""
    return {
        "scale": "demo",
        "results": str(results),
        "panels": [],
        "screens": {},
        "pictures": [],
        "frozen": ["untrained"],
        "elsewhere": {},
        "labels": {"dataset": {}, "transform": LABELS, "method": {"moco": "MoCo v2+"}, "backbone": {}},
        "config": {"seeds": list(seeds), "datasets": {}, "screens": {}},
        "citation": {"message": "Cite it.", "title": "phenoviews", "version": "1", "license": "MIT",
                     "authors": [{"name": "developers"}], "references": []},
    }  # fmt: skip


ENTRY = [
    {"random_rotate_90": {"p": 0.5}},
    {"random_rotation": {"degrees": 30}},
    {"color_jitter": {"brightness": 0.4, "contrast": 0.0, "saturation": 0.0, "hue": 0.2, "p": 0.8}},
    {"normalize": {}},
]
SEARCHED = ["mine+degrees=15.0+hue=0.0", "mine+brightness=0.0+hue=0.0"]
AUDITED = ["mine", "mine+random_rotation=off", "mine+hue=0.0", "mine+brightness=0.0"]


def audited(
    results: Path, seeds: tuple[int, ...] = (5, 6, 7, 8), superclasses: bool = False, early: bool = False,
    searching: bool = False, by_itself: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """As `study`, of an audit whose hue costs <retina> much, whose brightness trades, and whose rotation does nothing;
    by the functions that its rules call, from predictions and embeddings on the disk. Half of a rotation is not
    trained, and has pictures all the same. `early`: it is looked at after three seeds, where brightness is decided, and
    measured after two of six epochs. `searching`: from there two rounds try a setting each, of which the first helps
    <retina> as leaving out the hue does, and the second has collapsed. `by_itself`: the others are not changes of the
    set, but two operations alone and none."""
    rng = np.random.default_rng(0)
    folder, transforms = results / "files", [*AUDITED, "mine+degrees=15.0"]
    folder.mkdir(parents=True)
    labels = np.repeat([0, 1, 2], 200)
    index = pd.DataFrame({
        "split": "test", "label": labels, "class": np.array(["cat", "dog", "<retina>"])[labels]
    })  # fmt: skip
    if superclasses:
        index["superclass"] = np.array(["pets", "pets", "organs"])[labels]
    index.to_parquet(folder / "index.parquet")
    right = {"mine": (80, 80, 50), "mine+random_rotation=off": (80, 80, 50), "mine+hue=0.0": (80, 80, 80),
             "mine+brightness=0.0": (60, 95, 50)}  # fmt: skip
    right |= {SEARCHED[0]: (80, 80, 80)}
    each = grid(transform=AUDITED, seeds=seeds, dataset=("digits",), method=("moco",))
    if early:
        each = [run for run in each if run["transform"] != "mine+brightness=0.0" or run["seed"] in seeds[:3]]
    on_the_way = []
    if early:
        right["mine+brightness=0.0"] = (20, 25, 30)

    def files_of(runs: list[dict[str, Any]]) -> dict[str, list[str]]:
        files: dict[str, list[str]] = {"index": [str(folder / "index.parquet")] * len(runs)}
        for run in runs:
            failed = run["transform"] == SEARCHED[1]
            training(Path(f"{results}/runs/{name(run)}"), run, failed)
            at = str(folder / f"{run['transform']}-{run['seed']}")
            for kind, suffix in (("predictions", "npy"), ("embeddings", "npy"), ("probe", "parquet")):
                files.setdefault(kind, []).append(f"{at}-{kind}.{suffix}")
            if failed:
                why = "collapsed in epoch 3, spread 0.0001"
                np.save(f"{at}-predictions.npy", np.zeros(0, dtype=np.int64))
                embeddings.save(f"{at}-embeddings.npy", why)
                values.write(f"{at}-probe.parquet", values.table([{"metric": "top1", "value": np.nan, "reason": why}]))
                continue
            share = np.array(right[run["transform"]])[labels] / 100
            predicted = np.where(rng.random(len(labels)) < share, labels, (labels + 1) % 3)
            np.save(f"{at}-predictions.npy", predicted)
            embeddings.save(f"{at}-embeddings.npy", rng.normal(size=(len(labels), 4)).astype(np.float32))
            values.write(f"{at}-probe.parquet", values.table(
                [{"metric": "top1", "value": 100 * (predicted == labels).mean(), "regime": "linear", "split": "test"}]
            ))  # fmt: skip
            if early:
                on_the_way.append(f"{at}-early.parquet")
                value = 50 + 10 * AUDITED.index(run["transform"])
                values.write(on_the_way[-1], values.table(
                    [{"metric": "top1_by_epoch", "value": value, "regime": "linear", "split": "test", "epoch": 2.0}]
                ))  # fmt: skip
        return files

    files = files_of(each)
    of_parts = {"random_rotation": {0.0: "random_rotation=off", 0.5: "degrees=15.0"},
                "color_jitter.hue": {0.0: "hue=0.0"}, "color_jitter.brightness": {0.0: "brightness=0.0"}}  # fmt: skip
    parts = [{"name": part, "operation": part.partition(".")[0], "strength": 1, "levels": levels}
             for part, levels in of_parts.items()]  # fmt: skip
    panel = {
        "name": "p_audit", "title": "What <mine> should have", "start": "mine", "entry": ENTRY, "margin": 2.0,
        "budget_gpu_hours": 1, "judged": ["top1"], "of_classes": True, "evaluated": "test",
        "told": ["top1", AGREEMENT], "each": each,
        "metrics": {key: asdict(counted(key)) for key in COUNTABLE}, "beside": [],
        "design": {"parts": parts, "settings": AUDITED, "pairs": [], "alone": {}, "apart": [], "told": 2, "hours": 0.3,
                   "declared": {"keep": ["random_rotate_90"]}},
        "scale": {"name": "demo", "note": NOTE},
    }  # fmt: skip
    if by_itself:
        names = dict(zip(("", "color_jitter", "random_erasing"), AUDITED[1:], strict=True))
        panel["design"] |= {"alone": names, "apart": AUDITED[1:], "told": 0}
    if early:
        panel["design"]["declared"] |= {"looks": [3, 4], "spending": "pocock"}
        panel["design"]["seeds"] = seeds
        panel["lengths"] = {"epochs": 6, "at": [2], "shorter_trainings": False, "schedule": "cosine"}
    again: list[dict[str, Any]] = []
    searched = audit_files.NOT_SEARCHED
    if searching:
        space = {part: (*levels.values(), "") for part, levels in of_parts.items()}
        panel["design"]["search"] = {
            "rounds": 2, "settings": 1, "candidates": 1, "sampler": "tpe", "seed": 0, "seeds": seeds[:1],
            "space": space,
        }  # fmt: skip
        rounds = [grid(transform=(one,), seeds=seeds[:1], dataset=("digits",), method=("moco",)) for one in SEARCHED]
        searched = audit_files.Searched(rounds, files_of([run for of in rounds for run in of]))
        names_again = audit_files.choice({**panel}, each, files, searched)
        again = grid(transform=names_again, seeds=(9, 10, 11), dataset=("digits",), method=("moco",))
    (results / "panels/p").mkdir(parents=True)
    outputs = {suffix: str(results / f"panels/p/audit.{suffix}") for suffix in AUDIT_FILES}
    outputs |= {"search": str(results / "panels/p/audit.search.csv")} if searching else {}
    outputs |= {"lengths": str(results / "panels/p/audit.lengths.csv")} if early else {}
    audit_files.write(panel, files, again, files_of(again) if again else {}, outputs, None, on_the_way, searched)
    called = {"name": "p_audit", "paper": "p", "item": "audit", "caption": "", "files": outputs}
    return {
        **told_of(results, seeds),
        "panels": [called],
        "pictures": [str(pictures(results, tuple(transforms), ("As they are", "First view")))],
    }


AUDIT_FILES = ("csv", "md", "yaml", "json", "png", "pdf")


def name(run: dict[str, Any]) -> str:
    return "/".join(map(str, list(run.values())[:4])) + f"/seed{run['seed']}"


def training(folder: Path, run: dict[str, Any], failed: bool = False, epochs: int = 6) -> None:
    """The run.yaml and history.csv of a training that was watched every second epoch."""
    folder.mkdir(parents=True)
    done = 4 if failed else epochs
    lines = ["epoch,loss,lr,spread,ami,knn,rankme,seconds,images_per_s,memory_gb"]
    for at in range(done):
        seen = f"{20 + 10 * at},{at + 2}.5" if at % 2 else ","
        lines.append(f"{at},{5 / (at + 1)},0.1,{0.0001 if failed else 0.5},,{seen},2.5,400.0,")
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    about = {
        "outcome": "collapsed in epoch 3, spread 0.0001" if failed else "finished",
        "name": name(run),
        "transform": {"name": run["transform"], "sets": [{"weight": 1.0, "views": [[{"normalize": {}}]] * 2}]},
        "training": {"epochs": epochs, "lr": 0.1},
        "seed": run["seed"],
        "result": {"loss": 1.0, "spread": 0.5, "epoch_kept": done - 1, "seconds": 2.5 * done, "images_per_s": 400.0},
        "device": "cpu (AVX2, 1 threads)",
        "precision": "float32",
        "threads": 1,
        "commit": "0123456789ab",
        "data": {"images": 100, "shape": [8, 8, 1], "dtype": "uint8", "sha256": "ab" * 32},
        "versions": {"python": "3.12", "torch": "2"},
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(about, sort_keys=False))


def plate(results: Path, called: str) -> dict[str, str]:
    """A plate of four wells with two fields each, of which one is out of focus and one cannot be read."""
    folder = results / "screens"
    folder.mkdir(parents=True, exist_ok=True)
    head = "Metadata_Plate,Metadata_Well,Metadata_Site,Metadata_Compound,Metadata_Concentration,Metadata_Field,count,"
    lines = [head + "median_area,focus,left_out,empty,out_of_focus"]
    for at, well in enumerate(("A01", "A02", "B01", "H12")):
        for site in (1, 2):
            broken = well == "H12" and site == 2
            numbers_of = (
                f"{0 if broken else 10 * (at + 1) + 2 * site},100,{-4 - at / 10},{'truncated' if broken else ''}"
            )
            blurred = well == "A02" and site == 1
            lines.append(f"{called},{well},{site},drug,0.3,{well}_{site},{numbers_of},False,{blurred}")
    (folder / f"{called}.csv").write_text("\n".join(lines) + "\n")
    for kind in ("overlay", "light"):
        Image.new("RGB", (40, 30)).save(folder / f"{called}-{kind}.png")
    return {
        "name": called,
        "qc": str(folder / f"{called}.csv"),
        "overlay": str(folder / f"{called}-overlay.png"),
        "light": str(folder / f"{called}-light.png"),
    }


def pictures(results: Path, transforms: tuple[str, ...], rows: tuple[str, ...] = ("As they are",)) -> Path:
    folder = results / "pictures" / "digits"
    folder.mkdir(parents=True)
    index = []
    for number, transform in enumerate(transforms):
        files = [{"label": label, "file": f"{number}-{place}.png"} for place, label in enumerate(rows)]
        for place, row in enumerate(files):
            Image.fromarray(np.full((8, 64, 3), 40 * number + 20 * place, np.uint8)).save(folder / row["file"])
        index.append({"names": [["digits", transform, "moco"]], "sets": [], "rows": files})
    (folder / "index.json").write_text(json.dumps(index))
    return folder
