"""How the channels of a data set are shown: to a person in colours, and as RGB to measures that are made for it.

A data set may choose channels and map them, `colours: {actin: red, DNA: blue}`: the same composite wherever its images
are shown. Where it does not, figures paint each channel by its name, and a measure sees RGB as it is, and of other
images each channel by itself, as a grey image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from phenoviews.errors import UserError
from phenoviews.study.colours import PAINTS, UNSEEN, colours
from phenoviews.study.resolve import RGB, Resolver
from phenoviews.study.schema import nearest

COLOURS = ["red", "green", "blue"]
Paint = tuple[float, float, float]


def channels(study: Resolver, dataset: str) -> list[str]:
    """What the channels of a data set are called; where it does not say, by their colours or numbers."""
    count = study.channels(dataset)
    numbered = [f"channel {number}" for number in range(1, count + 1)]
    return study.channel_names(dataset) or (COLOURS if count == RGB else numbered)


def paints(study: Resolver, dataset: str) -> dict[str, str]:
    """{channel: its colour, or `none` where it is not shown}; nothing for RGB and grey images that are shown as they
    are."""
    called, declared = channels(study, dataset), study.entry("datasets", dataset).get("colours")
    if declared:
        return _chosen(f"datasets.{dataset}.colours", called, declared)
    return {} if _is_rgb(called) else colours(called)


def composites(study: Resolver, dataset: str) -> list[list[Paint]]:
    """The pictures in which a measure that is made for RGB sees an image: of each the red, green and blue, 0 to 1, of
    every channel."""
    called, declared = channels(study, dataset), study.entry("datasets", dataset).get("colours")
    if declared:
        return [[PAINTS[colour] for colour in paints(study, dataset).values()]]
    if _is_rgb(called):
        return [[(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]]
    grey, unseen = PAINTS["grey"], PAINTS[UNSEEN]
    return [[grey if other == one else unseen for other in called] for one in called]


def of_figure(study: Resolver, where: str, declared: Mapping[str, str], datasets: Sequence[str]) -> dict[str, str]:
    """The `paints` of a figure of these data sets, which must agree. `declared`: what the figure itself chooses."""
    called = {tuple(channels(study, each)) for each in datasets}
    shown = {tuple(paints(study, each).items()) for each in datasets}
    if len(called if declared else shown) > 1:
        raise UserError(
            f"config: {where}: its datasets have different channels or colours; draw them in figures of their own"
        )
    return _chosen(f"{where}.channels", list(*called), declared) if declared else dict(*shown)


def _is_rgb(called: Sequence[str]) -> bool:
    return [name.casefold() for name in called] == COLOURS


def _chosen(where: str, called: Sequence[str], declared: Mapping[str, str]) -> dict[str, str]:
    if set(declared.values()) == {UNSEEN}:
        raise UserError(f"config: {where}: no channel is shown; give one a colour")
    for name in declared:
        if name not in called:
            raise UserError(f"config: {where}: no channel '{name}'{nearest(name, called)}")
    return {name: declared.get(name, UNSEEN) for name in called}
