"""What a channel is painted with where nobody says so: by what it is called."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Red, green and blue of each, 0 to 1: no pure blue, which is too dark to see a nucleus in.
PAINTS: dict[str, tuple[float, float, float]] = {
    "blue": (0x2A / 255, 0x5B / 255, 1.0),
    "green": (0.0, 1.0, 0.0),
    "red": (1.0, 0x1A / 255, 0.0),
    "grey": (1.0, 1.0, 1.0),
    "cyan": (0.0, 1.0, 1.0),
    "magenta": (1.0, 0.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "none": (0.0, 0.0, 0.0),
}
UNSEEN = "none"  # of a channel that is not shown

# The first words of names, and whole names where they are short: of stains, structures, dyes and filters.
WORDS = {
    "blue": ("dna", "dapi", "hoechst", "nucle", "h2b", "h33342", "draq", "405"),
    "green": ("er", "endoplasmic", "concanavalin", "cona", "tubulin", "gfp", "egfp", "fitc", "alexa488", "488"),
    "yellow": ("rna", "syto", "yfp", "532", "530"),
    "red": ("agp", "actin", "phalloidin", "golgi", "wga", "membrane", "mcherry", "rfp", "tritc", "cy3", "txred",
            "texas", "561", "568", "594"),
    "magenta": ("mito", "cy5", "640", "647"),
    "grey": ("brightfield", "bright", "bf", "phase", "dic", "trans", "transmission"),
}  # fmt: skip
WHOLE = 3  # letters up to which a word has to be the whole of one in the name: "er" is not in "marker"
# For the names that say nothing: what is not taken yet, in this order.
OTHERS = ("green", "red", "magenta", "cyan", "yellow", "blue", "grey")


def colours(channels: Sequence[str]) -> dict[str, str]:
    """{channel: its colour}, of two that would have the same one the second takes another. A single channel is grey."""
    if len(channels) == 1:
        return dict.fromkeys(channels, "grey")
    found: dict[str, str] = {}
    for name in channels:
        colour = _told(name)
        if colour and colour not in found.values():
            found[name] = colour
    for name in channels:
        if name not in found:
            free = [colour for colour in OTHERS if colour not in found.values()]
            found[name] = free[0] if free else OTHERS[len(found) % len(OTHERS)]
    return {name: found[name] for name in channels}


def _told(name: str) -> str | None:
    words = re.findall(r"[a-z]+\d*|\d+", name.casefold())
    words.append("".join(words))
    for word in words:
        if word in PAINTS and word != UNSEEN:
            return str(word)
    for colour, known in WORDS.items():
        for one in known:
            if any(word == one if len(one) <= WHOLE else word.startswith(one) for word in words):
                return colour
    return None
