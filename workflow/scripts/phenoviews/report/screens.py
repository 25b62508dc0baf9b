"""The screens: plates as maps of their wells, and the pictures of their nuclei and light."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from phenoviews.cells import quality
from phenoviews.cells.wells import letters
from phenoviews.report.found import Found
from phenoviews.report.pages import Page

SIZES = [(8, 12), (16, 24), (32, 48)]  # rows and columns of plates with 96, 384 and 1,536 wells


@dataclass(frozen=True)
class Shade:
    """What a map shows: its title, unit and form, and whether more of it is darker."""

    title: str
    form: str
    says: str


MAPS = {
    "count": Shade("Nuclei per field", "{:.0f}", "mean over the well's fields that can be read"),
    "focus": Shade("Focus", "{:.2f}", "slope of log power over log frequency, about -4 where nuclei are sharp"),
    "flagged": Shade("Fields left out or flagged", "{:.0f}", "unreadable, empty or out of focus"),
}


def pages(found: Found) -> Iterator[Page]:
    screens = [
        {"name": name, "label": screen["label"], "plates": [_summary(name, plate) for plate in screen["plates"]]}
        for name, screen in found.told["screens"].items()
    ]
    yield Page("screens.html", "screens.html", "Screens", {"screens": screens})
    for name, screen in found.told["screens"].items():
        for plate in screen["plates"]:
            yield _page(name, screen, plate)


def _summary(screen: str, plate: Mapping[str, Any]) -> dict[str, Any]:
    table = quality.read(plate["qc"])
    return {
        "name": plate["name"],
        "path": _path(screen, plate["name"]),
        "wells": table["Metadata_Well"].nunique(),
        "fields": len(table),
        "nuclei": int(table["count"].sum()),
        "left_out": int((table["left_out"] != "").sum()),
        "empty": int(table["empty"].sum()),
        "out_of_focus": int(table["out_of_focus"].sum()),
    }


def _page(name: str, screen: Mapping[str, Any], plate: Mapping[str, Any]) -> Page:
    table, there = quality.read(plate["qc"]), f"files/screens/{name}/{plate['name']}"
    flagged = table[(table["left_out"] != "") | table["empty"] | table["out_of_focus"]]
    return Page(
        _path(name, plate["name"]),
        "plate.html",
        f"{screen['label']}, plate {plate['name']}",
        {
            "screen": screen,
            "plate": plate["name"],
            "summary": _summary(name, plate),
            "maps": [plate_map(table, key) for key in MAPS],
            "flagged": [
                {
                    "well": field["Metadata_Well"],
                    "site": field["Metadata_Site"],
                    "why": field["left_out"] or ("empty" if field["empty"] else "out of focus"),
                }
                for field in flagged.to_dict("records")
            ],
            "pictures": {key: f"{there}-{key}.png" for key in ("overlay", "light")},
            "table": f"{there}.csv",
        },
        files={f"{there}-{key}.png": plate[key] for key in ("overlay", "light")} | {f"{there}.csv": plate["qc"]},
    )


def _path(screen: str, plate: str) -> str:
    return f"screens/{screen}-{plate}.html"


def by_well(table: pd.DataFrame) -> pd.DataFrame:
    """Of each well of a plate, whose fields are the rows: count and focus, means over the fields that can be read;
    flagged, how many fields are unreadable, empty or out of focus; what it was treated with."""
    flagged = (table["left_out"] != "") | table["empty"] | table["out_of_focus"]
    readable = table["left_out"] == ""
    table = table.assign(
        count=table["count"].where(readable), focus=table["focus"].where(readable), flagged=flagged.astype(float)
    )
    wells = table.groupby("Metadata_Well", sort=True)
    numbers = wells.agg(count=("count", "mean"), focus=("focus", "mean"), flagged=("flagged", "sum"))
    treated = wells[["Metadata_Compound", "Metadata_Concentration"]].first()
    return numbers.join(treated).assign(fields=wells.size())


def plate_map(table: pd.DataFrame, key: str) -> dict[str, Any]:
    """A map of a plate's wells: title, says; columns, the numbers of the plate's; rows, each with its letters and a
    cell for every column: None where there is no such well, or text, shade (0 to 9) and what it is. Wells whose names
    are no places on a plate stand in one row by their names."""
    wells, shade = by_well(table), MAPS[key]
    values = wells[key]
    low, high = values.min(), values.max()
    cells = {
        str(well): {
            "text": "\N{EM DASH}" if pd.isna(line[key]) else shade.form.format(line[key]),
            "shade": 0 if pd.isna(line[key]) or high == low else int(min(9, 10 * (line[key] - low) / (high - low))),
            "what": f"{well}: {line['Metadata_Compound']}" + _dose(line["Metadata_Concentration"]),
        }
        for well, line in wells.iterrows()
    }
    places = {well: re.fullmatch(r"([A-Z]{1,2})(\d+)", well) for well in cells}
    shown = {"title": shade.title, "says": shade.says, "low": _ends(low, shade), "high": _ends(high, shade)}
    if not all(places.values()):
        return {**shown, "columns": list(cells), "rows": [("", list(cells.values()))]}
    names = [letters(str(row + 1)) for row in range(SIZES[-1][0])]
    found = {(names.index(place[1]), int(place[2])): cells[well] for well, place in places.items() if place}
    rows, columns = next(size for size in SIZES if all(row < size[0] and at <= size[1] for row, at in found))
    return {
        **shown,
        "columns": list(range(1, columns + 1)),
        "rows": [(names[row], [found.get((row, at)) for at in range(1, columns + 1)]) for row in range(rows)],
    }


def _ends(value: float, shade: Shade) -> str:
    return "\N{EM DASH}" if pd.isna(value) else shade.form.format(value)


def _dose(concentration: float) -> str:
    return f", {concentration:g}" if concentration else ""
