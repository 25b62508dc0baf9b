"""Names, wells and doses as people write them: which spellings are of one thing.

Every table that a person brings (profiles, plate maps, lists of compounds, the config) is read with these functions, so
that a name means the same in all of them.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from phenoviews.errors import UserError

# What programs write where there is no value. A cell that holds such a text may also be a name ("NA"), so what it means
# depends on the column; it never depends on the format of the file.
UNKNOWN = frozenset({"", "nan", "na", "n/a", "#n/a", "<na>", "nat", "none", "null", "nil"})

# The unit to which each unit is converted, and the factor. Keys as `_unit` makes them.
UNITS = {
    "m": ("µM", 1e6), "mm": ("µM", 1e3), "um": ("µM", 1.0), "nm": ("µM", 1e-3), "pm": ("µM", 1e-6), "fm": ("µM", 1e-9),
    "mol/l": ("µM", 1e6), "mmol/l": ("µM", 1e3), "umol/l": ("µM", 1.0), "nmol/l": ("µM", 1e-3),
    "molar": ("µM", 1e6), "millimolar": ("µM", 1e3), "micromolar": ("µM", 1.0), "nanomolar": ("µM", 1e-3),
    "g/l": ("µg/ml", 1e3), "mg/ml": ("µg/ml", 1e3), "ug/ul": ("µg/ml", 1e3), "mg/l": ("µg/ml", 1.0),
    "ug/ml": ("µg/ml", 1.0), "ng/ul": ("µg/ml", 1.0), "ug/l": ("µg/ml", 1e-3), "ng/ml": ("µg/ml", 1e-3),
    "pg/ml": ("µg/ml", 1e-6), "%": ("%", 1.0), "%v/v": ("%", 1.0),
}  # fmt: skip

_HYPHENS = dict.fromkeys(map(ord, "\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"), "-")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)


def folded(name: str) -> str:
    """What is equal for all spellings of a name that a reader takes for one: upper and lower case, accents, composed or
    not, µ as the sign or the Greek letter, kinds of hyphens, and blanks, hyphens and underscores wherever they stand.

    Between two digits one of these is kept, since "1-10" and "11-0" are different; so is a minus sign ("day -1").
    """
    text = unicodedata.normalize("NFKD", str(name).translate(_HYPHENS))
    text = "".join(sign for sign in text if not "\u0300" <= sign <= "\u036f").casefold()
    text = re.sub(r"(?<![^\s_])-(?=\d)", "\u2212", text.strip())
    text = re.sub(r"(?<=\d)[\s_-]+(?=\d)", "\u2010", text)
    return unicodedata.normalize("NFC", re.sub(r"[\s_-]+", "", text))


def unified(names: Iterable[str], first: Sequence[str] = ()) -> dict[str, str]:
    """The one spelling to take for each of `names` that has another: for those that are equal when `folded`, that of
    `first`, else the one that is most frequent in `names`, of equally frequent ones the first in order.

    Returns:
        spelling → the one to take, only of those that change; empty where every name has one spelling.
    """
    counts = Counter(map(str, names))
    groups: dict[str, list[str]] = defaultdict(list)
    for name in counts:
        groups[folded(name)].append(name)
    preferred = {folded(name): name for name in reversed(first)}
    changed: dict[str, str] = {}
    for key, found in groups.items():
        taken = preferred.get(key) or min(found, key=lambda name: (-counts[name], name))
        changed |= {name: taken for name in found if name != taken}
    return changed


def told(what: str, changed: Mapping[str, str], rows: Mapping[str, int] | None = None, shown: int = 3) -> str:
    """A sentence on what `unified` found in a column: "compound: 'TAXOL' (12 rows) is taken as another spelling of
    'taxol'"; "" where it found nothing."""
    if not changed:
        return ""
    parts = [
        f"{other!r}{f' ({rows[other]} rows)' if rows else ''} for {taken!r}"
        for other, taken in sorted(changed.items())[:shown]
    ]
    more = f" and {len(changed) - shown} more" if len(changed) > shown else ""
    return f"{what}: {', '.join(parts)}{more} taken as another spelling of one name"


def unknown(text: str) -> bool:
    """Whether a text stands for no value: an empty cell, or what programs write for one (nan, NA, None, null …)."""
    return text.strip().casefold() in UNKNOWN


def found(name: str, known: Iterable[str], shown: int = 8) -> str:
    """What a message says of a name that is not among `known`: the ones like it first, then others, and how many."""
    names = list(dict.fromkeys(map(str, known)))
    if not names:
        return "there are none"
    by_key = {folded(other): other for other in reversed(names)}
    close = [by_key[key] for key in difflib.get_close_matches(folded(name), list(by_key), n=3, cutoff=0.7)]
    listed = list(dict.fromkeys([*close, *names]))[:shown]
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"there are {', '.join(listed)}{more}{hint}"


def well(text: str) -> str | None:
    """A well of a plate in one spelling, "B02" for b2, B2, B002, B-02 and "B 2"; None for another text."""
    match = re.fullmatch(r"([A-Za-z]{1,2})[\s_-]?0*([1-9]\d?)", str(text).strip().translate(_HYPHENS))
    return f"{match[1].upper()}{int(match[2]):02d}" if match else None


def significant(value: float) -> float:
    """A dose to six significant digits: 0.1 * 3 and 0.3, 1.500000 and 1.5 are one dose."""
    return float(f"{value:.6g}")


def quantity(text: str) -> tuple[float, str]:
    """A number with a unit or without, as (value, unit): "300 nM" is (0.3, "µM"), "0,3" is (0.3, "").

    Amounts become µM and masses µg/ml, which are not converted into each other. Values have six significant digits.

    Raises:
        UserError: neither a number nor a number with a unit of `UNITS`; "1,000", which may be a thousand or one.
    """
    text = str(text).strip()
    match = _NUMBER.match(text.translate(_HYPHENS))
    if not match:
        raise UserError(f"{text!r} is no number")
    number, rest = match[0], text[match.end() :]
    if re.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+", number):
        raise UserError(f"{text!r} may be a thousand or a decimal; write it without the comma, or with a point")
    name, factor = unit(rest) if rest.strip() else ("", 1.0)
    return significant(float(number.replace(",", ".")) * factor), name


def unit(text: str) -> tuple[str, float]:
    """The unit that a text names, as (unit of the value, factor): "nM" is ("µM", 0.001). `UserError` for others."""
    key = unicodedata.normalize("NFKC", text).casefold().replace("μ", "u")
    key = re.sub(r"[\s()\[\]]+", "", key).replace("per", "/")
    if key not in UNITS:
        raise UserError(f"{text.strip()!r} is no unit that is known here, such as {', '.join(list(UNITS)[:5])}, mg/ml")
    return UNITS[key]
