"""A screen whose truth is known, in the very files of BBBC021: tables, one archive per plate, and what was drawn."""

from phenoviews.cells.simulation.archive import write_plate
from phenoviews.cells.simulation.layout import resolve, write_tables

__all__ = ["resolve", "write_plate", "write_tables"]
