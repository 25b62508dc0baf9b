"""The command `python -m phenoviews.profiles`: scores any table of profiles."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phenoviews.errors import UserError
from phenoviews.files import atomic, write_json, write_text
from phenoviews.profiles import tables
from phenoviews.profiles.columns import COLUMNS
from phenoviews.profiles.neighbours import confusion
from phenoviews.profiles.postprocess import POSTPROCESSINGS
from phenoviews.profiles.preparing import METHODS, SELECTIONS, normalised, selected
from phenoviews.profiles.ranking import FIRST, SHARES
from phenoviews.profiles.reading import read
from phenoviews.profiles.score import SCORES, all_profiles, score
from phenoviews.profiles.structure import Structure, structure
from phenoviews.study.metrics import METRICS

EPILOG = """\
The table
  One row per cell, site or well (rows with the same plate and well are averaged; treatments are the medians of their
  wells), or one row per treatment (a table without plate and well). Columns named Metadata_… tell what a row is; case
  does not matter, and every name can be set. Features are all other columns, or those that --features names. What
  numbers or describes the rows (ImageNumber, Location, an index …) is no feature and is left out with a note. Features
  are taken as they are: embeddings have one scale, CellProfiler's have not, so --normalize them.

    Metadata_Plate  Metadata_Well  Metadata_Compound  Metadata_Concentration  Metadata_MoA   Metadata_Batch  f0    …
    Week1_22123     B02            DMSO               0                                      Week1           0.12  …
    Week1_22123     D05            taxol              0.3                     Microtubule …  Week1           0.74  …

  A MoA may be a set, `a|b`. Spellings of a name that differ by case, accents, blanks or hyphens are one, with a note.

The scores
  NSC   treatments whose nearest neighbour (cosine) among other compounds has their mechanism of action (MoA)
  NSCB  the same among other compounds and other batches; MoAs seen in one batch only are left out. Where treatments
        have wells in several batches it is of one profile for each treatment in each batch
  drop  NSC - NSCB, in points: how much of NSC was the batch
  Each under no post-processing, whitening by the negative control, and TVN (whitening, then CORAL by batch). In
  brackets: a 95% bootstrap interval over treatments. Ties between MoAs and zero profiles count as wrong, and are said.
  The regularisers are the paper's, 1. Its code adds 1 to a batch's covariance whatever --coral-reg is: to have that at
  another one, give --coral-source-reg 1.

Two worked examples (in the repository, after `export PYTHONPATH=workflow/scripts`)

1 Embeddings of wells, with our column names, by the paper's method; what each treatment was taken for in a file:
    python -m phenoviews.profiles embeddings.parquet --predictions predictions.csv

    96 rows in 96 wells, 48 of them controls; 24 treatments, 12 compounds, 4 MoAs, 3 batches; 6 features

               NSC                               NSCB                              Drop
    none       23/24 = 95.8% [87.5, 100.0]       22/24 = 91.7% [79.2, 100.0]       4.2 [0.0, 12.5]
    …
  So 23 of 24 treatments are nearest to one of their MoA, and 22 where those of their own batch do not count.

2 CellProfiler's features of two plates, whose compounds are in a plate map (plate, well, compound, concentration, moa,
  batch), normalised to the controls of each plate by MAD, selected by pycytominer, with all that --more tells:
    python -m phenoviews.profiles plate1.csv plate2.csv.gz --platemap platemap.csv --control DMSO --normalize mad \\
      --select --more --precision precision.csv --profiles profiles

    note: 2 column(s) number or describe the rows, and are no features: 'ImageNumber', 'Cells_Location_Center_X'; …
    note: variance_threshold: 1 of 13 features dropped (first: Cells_Constant)
  precision.csv has the mean average precision of each treatment, compound and MoA, with p and q; profiles/ the profiles
  of wells and treatments as they were scored: wells_none.parquet, wells_whitening.parquet, wells_tvn.parquet, …
"""


def main(arguments: list[str] | None = None) -> None:
    """Run the command with `arguments`, those of the command line without any."""
    options = parser().parse_args(arguments)
    from phenoviews.job import reported  # here: who imports this module goes on looking for garbage

    with reported():
        for key, said in (("batch", options.batch), ("control", options.control)):
            if said and getattr(options, f"no_{key}"):
                raise UserError(f"--{key} and --no-{key} exclude each other; give one of them")
        columns = {key: getattr(options, key) for key in COLUMNS if getattr(options, key) is not None}
        table = read(
            options.tables,
            columns,
            options.features,
            None if options.no_control else options.control or ["DMSO"],
            batches=not options.no_batch,
            platemap=options.platemap,
            as_spelled=options.as_spelled,
            missing=options.select is not None,
        )
        (meta, x, names, notes), rows = table, len(table.meta)
        del table  # so that the rows go as soon as there are wells
        if "drop_na_columns" in (operations := _operations(options.select)):
            x, names, notes = _noted(selected(x, names, ["drop_na_columns"]), notes)
        meta, x = tables.wells(meta, x, options.across_cells)
        if options.normalize:
            x, names, notes = _noted(normalised(meta, x, names, options.normalize), notes)
        if operations:
            x, names, notes = _noted(selected(x, names, operations), notes)
        tables.check_finite(x, names)
        settings = {
            "reg": options.reg,
            "coral_reg": options.coral_reg,
            "coral_source_reg": options.coral_source_reg,
            "across_wells": options.across_wells,
        }
        result, predictions = score(meta, x, names, **settings, interval_by=options.interval, seed=options.seed)
        result["notes"] = [*notes, *result["notes"]]
        print("\n".join(_report(result, rows, tables.has_wells(meta))))
        if options.more or options.precision:
            more = structure(meta, x, **settings, seed=options.seed, bar=True)
            print("\n".join(_more(more) if options.more else []))
            result |= {"precision": tables.plain(more.precision), "variance_shares": tables.plain(more.shares)}
            result |= {"among_first": tables.plain(more.first), "groups": tables.plain(more.groups)}
        if options.json:
            write_json(options.json, {"tables": [str(path) for path in options.tables], **result})
        if options.predictions:
            write_text(options.predictions, predictions.to_csv(index=False))
        if options.precision:
            write_text(options.precision, more.groups.to_csv(index=False))
        if options.profiles:
            for name, profiles in all_profiles(meta, x, names, **settings).items():
                with atomic(options.profiles / f"{name}.parquet") as partial:
                    profiles.to_parquet(partial, index=False)
        if options.confusion:
            write_text(options.confusion, _confusions(predictions).to_csv(index=False))


def _operations(select: list[str] | None) -> list[str]:
    """Of --select: nothing, the usual ones where none is named, or those that are, in their order."""
    if select is None:
        return []
    return [name for name in SELECTIONS if name in (select or SELECTIONS[:4])]


def _noted(found: tuple[np.ndarray, list[str], list[str]], notes: list[str]) -> tuple[np.ndarray, list[str], list[str]]:
    x, names, more = found
    return x, names, [*notes, *more]


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(
        prog="python -m phenoviews.profiles",
        description="Score a table of profiles by mechanism of action: NSC, NSCB and their drop, in exact counts.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "tables",
        type=Path,
        nargs="+",
        metavar="table",
        help=".csv, .tsv (either with .gz) or .parquet; of several the rows are put together",
    )
    made.add_argument(
        "--platemap",
        type=Path,
        metavar="FILE",
        help="well, plate if they differ, and what the tables lack: compound, concentration, moa, batch",
    )
    group = made.add_argument_group("columns")
    for key, name in COLUMNS.items():
        group.add_argument(f"--{key}", metavar="COLUMN", help=f"default {name}")
    group.add_argument("--no-batch", action="store_true", help="the table has no batches: NSC only, no NSCB, no TVN")
    group.add_argument("--control", nargs="+", metavar="COMPOUND",
                       help="the negative control, or several (default DMSO)")  # fmt: skip
    group.add_argument("--no-control", action="store_true", help="the table has none: no whitening, no TVN")
    group.add_argument("--features", nargs="+", default=[], metavar="PATTERN",
                       help="names or shell patterns of the feature columns; quote them")  # fmt: skip
    group.add_argument("--as-spelled", action="store_true",
                       help="names that differ only by case, accents, blanks or hyphens are different")  # fmt: skip
    group = made.add_argument_group("before they are compared")
    group.add_argument(
        "--normalize",
        choices=METHODS,
        help="each plate to its controls: mad, by median and median absolute deviation; standard, by mean and spread",
    )
    group.add_argument(
        "--select",
        nargs="*",
        choices=SELECTIONS,
        help="features, by pycytominer's operations (without a name: the first four, in this order)",
    )
    group = made.add_argument_group("method (the defaults are the paper's)")
    group.add_argument("--reg", type=float, default=1.0, help="regulariser of whitening (default 1)")
    group.add_argument("--coral-reg", type=float, default=1.0, help="regulariser of CORAL (default 1)")
    group.add_argument(
        "--coral-source-reg",
        type=float,
        metavar="REG",
        help="that of the batches, before (default: as --coral-reg); always 1 in the authors' code",
    )
    group.add_argument("--across-cells", choices=tables.STATISTICS, default="mean", help="cells → well (default mean)")
    group.add_argument("--across-wells", choices=tables.STATISTICS, default="median",
                       help="wells → treatment (default median)")  # fmt: skip
    group.add_argument("--interval", choices=["treatment", "compound"], default="treatment",
                       help="what the bootstrap draws (default treatment)")  # fmt: skip
    group.add_argument("--seed", type=int, default=0, help="of the bootstrap and of the p-values (default 0)")
    group = made.add_argument_group("outputs")
    group.add_argument(
        "--more",
        action="store_true",
        help="also mean average precision, hits among the nearest, and what batch and plate explain",
    )
    group.add_argument("--json", type=Path, metavar="FILE", help="all that is printed, as JSON")
    group.add_argument("--predictions", type=Path, metavar="FILE", help="csv, one row per treatment and score")
    group.add_argument(
        "--precision",
        type=Path,
        metavar="FILE",
        help="csv, mean average precision of every treatment, compound and MoA, with p and q",
    )
    group.add_argument(
        "--profiles",
        type=Path,
        metavar="FOLDER",
        help="parquet, the profiles of wells and of treatments under each post-processing",
    )
    group.add_argument("--confusion", type=Path, metavar="FILE", help="csv, treatments by true and predicted MoA")
    return made


def _report(result: dict[str, Any], rows: int, wells: bool) -> list[str]:
    n = result["counts"]
    of = f"{rows:,} rows in {n['wells']:,} wells" if wells else f"{rows:,} rows, each a profile of its own"
    lines = [
        f"{of}, {n['controls']:,} of them controls; {n['treatments']:,} treatments, {n['compounds']:,} compounds, "
        f"{n['moas']:,} MoAs, {n['batches']:,} batches; {n['features']:,} features",
        "",
        f"{'':<11}" + "".join(f"{METRICS[key].label:<34}" for key in SCORES).rstrip(),
    ]
    reasons: dict[str, list[str]] = {}
    for name in POSTPROCESSINGS:
        cells = []
        for key in SCORES:
            cells.append(_cell(result["postprocessing"][name][key]))
            if why := result["postprocessing"][name][key]["undefined"]:
                reasons.setdefault(why, []).append(f"{name} {METRICS[key].label}")
        lines.append(f"{name:<11}" + "".join(f"{cell:<34}" for cell in cells).rstrip())
    lines += ["", *(f"undefined: {', '.join(where)}: {why}" for why, where in reasons.items())]
    if result["left_out"]:
        moas = ", ".join(f"{moa} ({batch})" for moa, batch in result["left_out"].items())
        lines.append(f"NSCB leaves out MoAs seen in one batch only: {moas}")
    return [*lines, *(f"note: {note}" for note in result["notes"])]


def _cell(number: dict[str, Any]) -> str:
    if number["percent"] is None:
        return "undefined"
    exact = f"{number['correct']}/{number['of']} = " if "correct" in number else ""
    unit = "%" if exact else ""
    low, high = number["interval"]
    return f"{exact}{number['percent']:.1f}{unit} [{low:.1f}, {high:.1f}]"


def _more(more: Structure) -> list[str]:
    lines = ["", "Mean average precision: replicates among the controls of their batch; MoAs among other compounds"]
    for row in more.precision.to_dict("records"):
        what = (
            f"undefined: {row['undefined']}"
            if row["undefined"]
            else f"{row['map']:.3f} (chance {row['chance']:.3f}), {row['found']:.0f} of {row['groups']:.0f} "
            "above chance (q < 0.05)"
        )
        lines.append(f"{row['postprocessing']:<11}{row['task']:<18}{what}")
    lines += [
        "",
        "Among the nearest: treatments with a right one among the k nearest; right ones in the nearest 1 % and 5 %, in",
        "multiples of chance (other compounds; moas_other_batch: and other batches)",
    ]
    for row in more.first.to_dict("records"):
        tops = ", ".join(f"top {k} {100 * row[f'top_{k}']:.1f}%" for k in FIRST)
        folds = " and ".join(f"{row[f'enrichment_{100 * share:.0f}']:.1f}" for share in SHARES)
        lines.append(f"{row['postprocessing']:<11}{row['task']:<18}{tops}; enrichment {folds}")
    lines += ["", "Share of the profiles' variance (η²; adjusted: ε², 0 expected where there is no effect)"]
    for row in more.shares.to_dict("records"):
        what = (
            "undefined: no variance, or as many groups as wells"
            if np.isnan(row["share"])
            else f"{row['share']:.3f}, adjusted {row['adjusted']:.3f} ({row['groups']} in {row['n']} wells)"
        )
        lines.append(f"{row['postprocessing']:<11}{row['wells']:<10}{row['factor']:<8}{what}")
    return lines


def _confusions(predictions: pd.DataFrame) -> pd.DataFrame:
    parts = {
        key: confusion(part).T.melt(var_name="true", value_name="treatments", ignore_index=False)
        for key, part in predictions.groupby(["postprocessing", "score"], sort=False)
    }
    table = pd.concat(parts, names=["postprocessing", "score", "predicted"]).reset_index()
    return table[["postprocessing", "score", "true", "predicted", "treatments"]]


if __name__ == "__main__":
    main()
