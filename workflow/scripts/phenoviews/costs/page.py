"""The plan as people read it: one set of paragraphs and tables, in Markdown, HTML and CSV."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from phenoviews.costs.paces import SCALED, SHIPPED, told_apart
from phenoviews.costs.plan import GPUS, PanelCost, Plan, Sum
from phenoviews.files import write_text
from phenoviews.study.audits import MOST_SEEDS
from phenoviews.study.document import ROOT
from phenoviews.study.metrics import OBJECTIVES, counted

TEMPLATES = ROOT / "workflow" / "templates"
MOST_KINDS = 30  # of a table; the rest is summed up in its last line
UNITS = {
    "panel": "Panel",
    "trainings": "Trainings",
    "shared": "shared with others",
    "trained": "done",
    "epochs": "Epochs",
    "steps": "Steps",
    "images": "Images (million)",
    "pflop": "PFLOP",
    "hours": "GPU-hours",
    "training_hours": "of trainings",
    "hours_left": "left",
    "disk_gb": "Disk (GB)",
    "memory_gb": "Memory (GB)",
    "gpu_gb": "GPU memory (GB)",
}


@dataclass(frozen=True)
class Section:
    """A heading with paragraphs and a table: the words of its columns, and its rows as texts. Of the first column the
    texts are names, of the others numbers."""

    heading: str
    paragraphs: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = field(default_factory=list)


def write(plan: Plan, files: Mapping[str, Path], budget: float | None = None) -> str:
    """Write the plan to `files` (md, html, csv), and return its gist in one line, and a line for each guess.

    `budget`: GPU-hours, if any.
    """
    title = f"What this study costs at {' and '.join(plan.study.at_work)} scale"
    found = sections(plan, budget)
    write_text(files["md"], markdown(title, found))
    write_text(files["html"], html(title, found))
    write_text(files["csv"], table(plan))
    return "\n".join([f"{gist(plan)}; {files['md']}", *plan.guesses()])


def gist(plan: Plan) -> str:
    total = plan.total
    done = f", {total.trained:,} of them done" if total.trained else ""
    return (
        f"{total.trainings:,} trainings{done}; {_hours(total.hours_left)} GPU-hours left of {_hours(total.hours)}; "
        f"{_number(total.disk_gb + plan.data_gb())} GB of disk"
    )


def sections(plan: Plan, budget: float | None = None) -> list[Section]:
    """What the plan's page says."""
    total, when = plan.total, datetime.datetime.now().strftime("%Y-%m-%d %H:%M")
    origins = {pace.origin: 0.0 for _, pace, _ in plan.kinds()}
    for _, pace, jobs in plan.kinds():
        origins[pace.origin] += sum(job.seconds for job in jobs)
    shares = ", ".join(f"{100 * of / (sum(origins.values()) or 1):.0f} % {name}" for name, of in origins.items())
    found = [
        Section(
            "In short",
            [
                f"{gist(plan)}. As of {when}.",
                *plan.guesses(),
                plan.paces.origin() + (f" Of the trainings' time: {shares}." if shares else ""),
                "A GPU-hour is of one GPU, or of one job of as many CPU threads as `resources.threads` says where "
                "there is none. Counted are trainings and what is measured of encoders on a GPU: embeddings, probes, "
                "fine-tunings, kNN. What runs on CPUs beside them (data, cells, clusters, scores, panels) is not. "
                f"Every job takes {plan.paces.start:.0f} s besides, to start and to write. A training is done where "
                "its run.yaml says the settings that it would have now; whether code or data have changed since, and "
                "make it run again, `snakemake -n` tells.",
            ],
        ),
        Section(
            "Panels",
            [
                "What a panel shares with others it counts as its own here, so the sum of the rows is more than the "
                "total, where everything is counted once."
            ],
            list(UNITS.values()),
            [
                *(_panel_row(one.panel.name, Sum.of(one.jobs.values()), str(one.shared)) for one in plan.panels),
                _panel_row("all together", total, ""),
            ],
        ),
        *_audits(plan),
        Section(
            "How long it takes",
            ["What is left, if nothing else is waited for, the longest jobs first."],
            ["GPUs", *map(str, GPUS)],
            [["hours", *(_hours(plan.wall_hours(gpus)) for gpus in GPUS)]],
        ),
        _kinds(plan),
        _space(plan),
        _downloads(plan),
    ]
    if budget is not None:
        chosen, spent = plan.within(budget)
        found.append(_within(plan, budget, chosen, spent))
    return found


def markdown(title: str, found: Sequence[Section]) -> str:
    lines = [f"# {title}", ""]
    for section in found:
        lines += [f"## {section.heading}", ""]
        for paragraph in section.paragraphs:
            lines += [paragraph, ""]
        if section.columns:
            ruler = ["---", *["---:"] * (len(section.columns) - 1)]
            rows = [section.columns, ruler, *section.rows]
            lines += ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in rows]
            lines.append("")
    return "\n".join(lines)


def html(title: str, found: Sequence[Section]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("plan.html").render(title=title, sections=found)


def table(plan: Plan) -> str:
    """A row per panel, and the last of all together, in plain numbers, as CSV."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(UNITS), lineterminator="\n")
    writer.writeheader()
    rows: list[tuple[str, Sum, Any]] = [(one.panel.name, Sum.of(one.jobs.values()), one.shared) for one in plan.panels]
    for name, of, shared in [*rows, ("total", plan.total, "")]:
        numbers = {key: getattr(of, key) for key in UNITS if key not in ("panel", "shared")}
        rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in numbers.items()}
        writer.writerow({"panel": name, "shared": shared, **rounded})
    return stream.getvalue()


def _panel_row(name: str, of: Sum, shared: str) -> list[str]:
    return [
        name,
        f"{of.trainings:,}",
        shared,
        f"{of.trained:,}",
        f"{of.epochs:,}",
        f"{of.steps:,}",
        _number(of.images / 1e6),
        _number(of.pflop),
        _hours(of.hours),
        _hours(of.training_hours),
        _hours(of.hours_left),
        _number(of.disk_gb),
        _number(of.memory_gb) if of.trainings else "",
        "" if of.gpu_gb is None else _number(of.gpu_gb),
    ]


def _audits(plan: Plan) -> list[Section]:
    """What the budgets of its audits buy, where there are any."""
    rows = [
        [panel.name, " or ".join(counted(metric).label for metric in OBJECTIVES[panel.declared["objective"][0]]),
         str(len(of.settings)), str(len(of.seeds)), f"{epochs:,}", str(of.told), str(len(of.new_seeds)),
         _number(of.declared["budget_gpu_hours"])]
        for panel, of, epochs in plan.audits()
    ]  # fmt: skip
    words = (
        f"A budget buys settings as `tries` names them, then seeds, {MOST_SEEDS} at most, of trainings as long as "
        "their recipe's at most. Where all of that costs less than the budget, more of `tries` or a longer recipe "
        "would use the rest. No difference smaller than one image can be told: with 25 of a class held out, 4 points."
    )
    columns = [
        *("Audit", "Judged by, the first that there is", "Settings", "Seeds", "Epochs", "told again, at most"),
        *("with new seeds", "Budget (GPU-hours)"),
    ]
    return [Section("Audits", [words], columns, rows)] if rows else []


def _kinds(plan: Plan) -> Section:
    """The kinds of trainings, with where the pace of each is from."""
    kinds = plan.kinds()
    names = told_apart([kind for kind, _, _ in kinds])
    rows = [
        [
            name,
            f"{len(jobs):,}",
            f"{1 / pace.seconds:,.0f}",
            pace.origin,
            _hours(sum(job.seconds for job in jobs) / 3600),
        ]
        for name, (_, pace, jobs) in list(zip(names, kinds, strict=True))[:MOST_KINDS]
    ]
    rest = [job for _, _, jobs in kinds[MOST_KINDS:] for job in jobs]
    if rest:
        rows.append([f"{len(kinds) - MOST_KINDS} kinds more", f"{len(rest):,}", "", "",
                     _hours(sum(job.seconds for job in rest) / 3600)])  # fmt: skip
    words = (
        "Trainings of one kind differ in numbers (the strength of a transformation, a temperature, a rate) and in "
        "their seeds. An image counts once, though a training views it twice."
    )
    origins = {pace.origin for _, pace, _ in kinds}
    if SCALED in origins:
        words += (
            " Scaled: from the measured kinds that are most alike, by what is to be computed. Between "
            "kinds that differ in much it may be off by a few times."
        )
    if SHIPPED in origins:
        words += " The shipped figure is a cautious guess; a fast GPU may be several times as quick."
    return Section("Kinds of trainings", [words], ["Kind", "Trainings", "Images/s", "Pace", "GPU-hours"], rows)


def _space(plan: Plan) -> Section:
    total = plan.total
    rows = [
        ["arrays of images, of all data sets", _number(plan.data_gb())],
        ["runs: weights and embeddings", _number(total.disk_gb)],
        ["downloads", _number(_known_mb(plan) / 1e3)],
        ["memory of a job, at most", _number(total.memory_gb)],
    ]
    return Section("Space", [], ["What", "GB"], rows)


def _downloads(plan: Plan) -> Section:
    of: dict[str, list[float | None]] = {}
    for owner, _, size in plan.downloads():
        of.setdefault(owner, []).append(size)
    if not of:
        return Section("Downloads", ["Nothing: all that is needed is there."])
    rows = [
        [owner, str(len(sizes)), "unknown" if None in sizes else _number(sum(size or 0 for size in sizes) / 1e3)]
        for owner, sizes in of.items()
    ]
    return Section("Downloads", ["What is not there yet."], ["Of", "Files", "GB"], rows)


def _known_mb(plan: Plan) -> float:
    return sum(size or 0.0 for _, _, size in plan.downloads())


def _within(plan: Plan, budget: float, chosen: Sequence[PanelCost], spent: float) -> Section:
    rows, paid = [], set[str]()
    for one in chosen:
        new = [job for file, job in one.jobs.items() if file not in paid]
        paid |= one.jobs.keys()
        rows.append([one.panel.name, _hours(sum(job.left for job in new) / 3600)])
    left_out = [one.panel.name for one in plan.panels if one not in chosen]
    words = [
        f"{len(chosen)} of {len(plan.panels)} panels, for {_hours(spent)} GPU-hours: always the one next that adds "
        "least to those before it, with what they have trained already for nothing."
    ]
    if left_out:
        words.append(f"Left out: {', '.join(left_out)}.")
    if chosen and left_out:
        words.append(f"`snakemake {' '.join(one.panel.name for one in chosen)}` makes these.")
    return Section(f"Within {_hours(budget)} GPU-hours", words, ["Panel", "adds GPU-hours"], rows)


def _hours(hours: float) -> str:
    return f"{hours:,.2f}" if hours < 1 else f"{hours:,.1f}" if hours < 100 else f"{hours:,.0f}"


def _number(value: float) -> str:
    return f"{value:,.2g}" if 0 < value < 1 else f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
