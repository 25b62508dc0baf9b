"""Fixtures that every part shares."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Tests run beside each other, so each has one thread; and threads of OpenMP that a test asks for do not spin while they
# wait for each other: that keeps a processor from what they wait for, and a step took up to twenty times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


# Parts whose files take longest come first: one that came last would keep one worker busy and the others idle.
LONG = ["workflow", "training"]

# While tests are collected, a million objects are imported that stay: no look for garbage then, and none among these.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {part: place for place, part in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.relative_to(ROOT / "tests").parts[0], len(LONG)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data for tests: $PHENOVIEWS_TEST_DATA, or ../shared/data beside the repository."""
    folder = Path(os.environ.get("PHENOVIEWS_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set PHENOVIEWS_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks gain nothing from more, and other jobs on the machine cost them much."""
    import torch  # here: most parts need none

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
