"""A table or figure as config.yaml declares it, and the metrics that it may show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# What a table may show of a run: the kind of measure that holds it, and how it is printed.
METRICS = {
    "silhouette": {"measure": "clusters", "label": "Silhouette", "unit": "", "digits": 2},
    "ami": {"measure": "clusters", "label": "AMI", "unit": "", "digits": 2},
    "ami_change": {"measure": "clusters", "label": "Change of AMI", "unit": "", "digits": 2, "signed": True},
    "ami_arithmetic": {"measure": "clusters", "label": "AMI (arithmetic)", "unit": "", "digits": 2},
    "hungarian_accuracy": {"measure": "clusters", "label": "Cluster accuracy", "unit": "", "digits": 2},
    "top1": {"measure": "probe", "label": "Top-1", "unit": "%", "digits": 1},
    "lpips": {"measure": "lpips", "label": "LPIPS", "unit": "", "digits": 2},
    "nsc": {"measure": "scores", "label": "NSC", "unit": "%", "digits": 1},
    "nscb": {"measure": "scores", "label": "NSCB", "unit": "%", "digits": 1},
    "drop": {"measure": "scores", "label": "Drop", "unit": "points", "digits": 1},
    "map_replicates": {"measure": "structure", "label": "mAP of replicates", "unit": "", "digits": 2},
    "map_moas": {"measure": "structure", "label": "mAP of MoAs", "unit": "", "digits": 2},
    "map_moas_other_batch": {"measure": "structure", "label": "mAP of MoAs, other weeks", "unit": "", "digits": 2},
    "share_batch": {"measure": "structure", "label": "Variance by week", "unit": "", "digits": 2},
    "share_plate": {"measure": "structure", "label": "Variance by plate", "unit": "", "digits": 2},
}


@dataclass(frozen=True)
class Panel:
    """A table or figure of a paper: its name (`no_free_lunch_table1`) and what config.yaml declares of it."""

    paper: str
    item: str
    declared: dict

    @property
    def name(self) -> str:
        return f"{self.paper}_{self.item}"

    @property
    def is_table(self) -> bool:
        return "plot" not in self.declared

    @property
    def has_numbers(self) -> bool:
        """Whether it has a table of its numbers, which for some figures stands beside the picture."""
        return self.declared.get("plot") in (None, "doses", "treatments")


def missing(panel: Panel) -> Iterator[str]:
    """The keys that such a panel needs and has not."""
    declared = panel.declared
    if panel.is_table:
        yield from (key for key in ("metrics", "rows", "columns") if key not in declared)
        if any(metric.endswith("_change") for metric in declared.get("metrics", [])) and "base" not in declared:
            yield "base"
    if any(shown(panel).values()) and "postprocessings" not in declared:
        yield "postprocessings"
    clustered = declared.get("plot") in ("tsne", "nearest") or any(
        METRICS[metric]["measure"] == "clusters" for metric in declared.get("metrics", [])
    )
    if clustered and "clusters" not in declared:
        yield "clusters"
    if declared.get("plot") == "nearest":
        yield from (key for key in ("images", "columns") if key not in declared)


def shown(panel: Panel) -> dict[str, bool]:
    """The metrics and the plot of a panel, and whether they are of profiles."""
    metrics = panel.declared.get("metrics", [])
    plots = [panel.declared["plot"]] if "plot" in panel.declared else []
    of_profiles = {metric: METRICS[metric]["measure"] in ("scores", "structure") for metric in metrics}
    return {**of_profiles, **{plot: plot == "treatments" for plot in plots}}
