"""Patterns of file names: what each part of a name tells of an image."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from phenoviews.data.pixels import SUFFIXES
from phenoviews.errors import UserError

# What a placeholder of a file-name pattern stands for.
PLACEHOLDERS = {
    "plate": r"[^/]+",
    "well": r"[A-Za-z]{1,2}\s?-?\s?\d{1,2}(?:\.[A-Za-z]\d+)?",
    "row": r"[A-Za-z]{1,2}|\d{1,2}",
    "column": r"\d{1,2}",
    "site": r"\d+",
    "plane": r"\d+",
}
THUMBNAILS = re.compile(r"_thumb", re.IGNORECASE)  # small copies that MetaXpress lays beside its images


@dataclass(frozen=True)
class Pattern:
    """`text`: as the screen has it. `parts`: a regular expression for each of its pieces, in order, and the piece.
    `channels`: {channel: a regular expression of its name in files}; empty where a file holds all channels."""

    text: str
    parts: Sequence[tuple[str, str]]
    channels: Mapping[str, str]

    @property
    def regex(self) -> re.Pattern[str]:
        return re.compile("".join(regex for _, regex in self.parts))

    def channel_of(self, found: str) -> str:
        """The channel whose name a file has."""
        return next(channel for channel, regex in self.channels.items() if re.fullmatch(regex, found))


def compiled(text: str, channels: Mapping[str, str | int], names: bool = False) -> Pattern:
    """`{plate}/{well}_s{site}_*_{channel}.tif` as a regular expression; `*` is anything within a name.

    A channel that is a number is found with zeros before it, too. Without `{channel}` each file holds all channels.
    `names`: positions are no wells, and `{well}` is any name.
    """
    # The longest first, so that w1 does not take w10's place.
    regexes = {name: f"0*{one}" if isinstance(one, int) else re.escape(one) for name, one in channels.items()}
    known = PLACEHOLDERS | {"channel": "|".join(sorted(regexes.values(), key=len, reverse=True))}
    known |= {"well": "[^/]+"} if names else {}
    parts, seen = [], set()
    for piece in filter(None, re.split(r"(\{\w*\}|\*)", text)):
        name = piece[1:-1]
        if piece == "*":
            parts.append((piece, "[^/]*"))
        elif not piece.startswith("{"):
            parts.append((piece, re.escape(piece)))
        elif name not in known:
            raise UserError(f"pattern: {piece} is not one of {', '.join(f'{{{name}}}' for name in known)}: {text}")
        else:
            parts.append((piece, f"(?P={name})" if name in seen else f"(?P<{name}>{known[name]})"))
            seen.add(name)
    if not ("well" in seen or {"row", "column"} <= seen):
        raise UserError(f"pattern: needs {{channel}} and {{well}}, or {{row}} and {{column}}: {text}")
    if "channel" not in seen and not all(isinstance(one, int) for one in channels.values()):
        raise UserError(
            f"pattern: needs {{channel}}, or `channels` that are numbers, the places of channels in each file from 0 "
            f"on: {text}"
        )
    return Pattern(text, parts, regexes if "channel" in seen else {})


def images(root: Path, pattern: Pattern) -> list[str]:
    """The paths of all image files under `root`, sorted, with forward slashes; hidden ones and thumbnails left out."""
    found = []
    for parent, below, inside in os.walk(root, followlinks=True):
        below[:] = [name for name in below if not name.startswith(".")]
        found += [Path(parent, name) for name in inside if not name.startswith(".")]
    paths = sorted(path.relative_to(root).as_posix() for path in found if path.name.lower().endswith(SUFFIXES))
    return paths if THUMBNAILS.search(pattern.text) else [path for path in paths if not THUMBNAILS.search(path)]


def explained(pattern: Pattern, paths: Sequence[str]) -> str:
    """Why none of `paths` fits: which channels there are instead, or how far the first comes and what stops it."""
    anything = [
        (piece, "(?P<channel>[^/]+?)" if regex.startswith("(?P<channel>") else regex) for piece, regex in pattern.parts
    ]
    relaxed = re.compile("".join(regex for _, regex in anything))
    if found := Counter(match["channel"] for path in paths if (match := relaxed.fullmatch(path)) and pattern.channels):
        return f"all but {{channel}} fits, and that finds {', '.join(map(repr, sorted(found)[:10]))}"
    path = paths[0]
    for end in range(len(pattern.parts), 0, -1):
        match = re.match("".join(regex for _, regex in pattern.parts[:end]), path)
        if match:
            groups = [f"{{{name}}} finds {text!r}" for name, text in match.groupdict().items()] or ["nothing is named"]
            rest, wanted = path[match.end() :], [piece for piece, _ in pattern.parts[end:]]
            where = f"then {wanted[0]!r} is wanted and {rest!r} is there" if wanted else f"then {rest!r} is left over"
            return f"of {path}, {', '.join(groups)}; {where}"
    return f"of {path}, {pattern.parts[0][0]!r} finds nothing at its beginning"
