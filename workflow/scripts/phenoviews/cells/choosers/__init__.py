"""Choosers: which nuclei of a screen are the cells of a data set, with their labels and splits.

A chooser joins by a module of its own and a line in `CHOOSERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from phenoviews.cells.choosers import cells, treatments

CHOOSERS: dict[str, Callable[[pd.DataFrame, Mapping[str, Any]], pd.DataFrame]] = {
    "cells": cells.choose,
    "treatments": treatments.choose,
}
