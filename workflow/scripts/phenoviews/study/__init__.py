"""The study: config.yaml → runs, their settings, their plan and their paths. Pure, and quick to import: no torch.

Everything that a stage does is decided here and handed to it as plain data. Each job is a module: `document` (what is
shipped, what is laid over it, what that changes), `names` and `schema` (overrides and refusals), `resolve` (names →
settings), `plan` (panels → runs, and what these ask for), `checks`, `notes` (what panels are told), `paths`, and `code`
(what a rule's code is).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from phenoviews.errors import UserError
from phenoviews.study import names, notes, plan
from phenoviews.study.checks import check
from phenoviews.study.document import at_scale, changes, merge, refuse_mixed, unreached, validated
from phenoviews.study.panel import Panel, objective_of
from phenoviews.study.resolve import Resolver
from phenoviews.study.run import Run
from phenoviews.study.schema import complete, schema

__all__ = ["OWN", "Panel", "Run", "Study", "merge"]

# The scale of panels that are not shipped, unless the user asks for another: nothing is reduced, nothing stands in.
OWN = "own"


class Study(Resolver):
    """A validated config document at its scale. Raises `UserError` for anything in it that cannot be.

    `shipped`: the document as the project ships it, of which `config` is a changed copy; every panel then names the
    changes. `said`: the user's part of `config`, which no scale overrides. Where it asks for no
    scale, neither by its name nor by settings for it, panels that are not shipped are at the scale `own`, which is a
    study of its own; what is asked of `self` about a panel is answered by the study that it belongs to (`of`). Both
    have the same data, which lie in folders without a scale. `counts`: see `asked.counts`.
    """

    def __init__(
        self,
        config: dict[str, Any],
        shipped: dict[str, Any] | None = None,
        said: Mapping[str, Any] = MappingProxyType({}),
        counts: Mapping[str, int] = MappingProxyType({}),
    ):
        refuse_mixed(config, shipped or {})
        document = validated(config, said)
        super().__init__(complete(document, schema()), counts)
        self._made_of = config, shipped, said
        # Compared at the scale, since a change under `scales` is a change too.
        below = complete(at_scale(shipped, self.scale), schema()) if shipped else self.config
        self.changes = list(changes(below, self.config))
        # Whether the scale is one of those that the project ships, with something that it changes.
        self.reduced = bool((shipped or config)["scales"].get(self.scale))
        self.panels = {
            panel.name: panel
            for paper, items in self.config["panels"].items()
            for panel in (Panel(paper, item, self._told(paper, item, declared)) for item, declared in items.items())
        }
        self._shipped = {
            f"{paper}_{item}" for paper, items in (shipped or config).get("panels", {}).items() for item in items
        }
        asked = "scale" in said or self.scale in said.get("scales", {})
        self._has_own = bool(said) and not asked and OWN in config["scales"]
        self.asked  # noqa: B018  # a name in `only` that means nothing is refused
        check(self, {name: panel for name, panel in self.panels.items() if self.of(panel) is self})

    def _told(self, paper: str, item: str, declared: dict[str, Any]) -> dict[str, Any]:
        """Of an audit also what it does not say of itself and its data decide."""
        if "start" not in declared:
            return declared
        kind = self.config["datasets"].get(names.parse(declared["dataset"])[0], {}).get("kind", "")
        try:
            of_data = {"objective": objective_of(declared, kind), "nuisances": kind in ("cells", "treatments")}
        except UserError as error:
            raise UserError(f"config: panels.{paper}.{item}.objective: {error}") from None
        return {"title": f"Which views {declared['dataset']} should have", **declared, **of_data}

    @functools.cached_property
    def _own(self) -> Study:
        config, shipped, said = self._made_of
        return Study({**config, "scale": OWN}, shipped, {**said, "scale": OWN}, self.counts)

    def unreached(self, runs: Iterable[Run]) -> list[str]:
        """What the user says and does not reach the method of one of these runs; see `document.unreached`."""
        methods = {(self.base("datasets", run.dataset)["recipe"], names.parse(run.method)[0]) for run in runs}
        return list(unreached(self._made_of[2], self.config, methods))

    def is_shipped(self, panel: Panel) -> bool:
        """Whether it is of a paper; a user's own has nothing that is published beside it."""
        return panel.name in self._shipped

    def of(self, panel: Panel) -> Study:
        """The study at whose scale a panel is."""
        return self._own if self._has_own and not self.is_shipped(panel) else self

    def at(self, scale: str) -> Study:
        """The study at one of its `at_work` scales."""
        return self._own if self._has_own and scale == OWN else self

    @property
    def at_work(self) -> list[str]:
        """Its scale, and the users' own where one of the panels is at it."""
        return [self.scale, *([OWN] if any(self.of(panel) is not self for panel in self.panels.values()) else [])]

    @property
    def asked(self) -> list[Panel]:
        """See `plan.asked`."""
        return plan.asked(self.panels, self.config["only"])

    def places(self, panel: Panel) -> list[plan.Place]:
        """See `plan.places`."""
        return plan.places(self.of(panel), panel)

    def runs(self, panel: Panel) -> list[Run]:
        """See `plan.runs`."""
        return plan.runs(self.of(panel), panel)

    def load(self, run: Run) -> plan.Load:
        """See `plan.load`."""
        return plan.load(self, run)

    def deciding(self, panel: Panel) -> dict[str, Any]:
        """See `notes.deciding`."""
        return notes.deciding(self.of(panel), panel)

    def audited(self, panel: Panel) -> dict[str, Any]:
        """See `notes.audited`."""
        return notes.audited(self.of(panel), panel, self._context(panel))

    def rounds(self, panel: Panel) -> int:
        """See `plan.rounds`."""
        return plan.rounds(self.of(panel), panel)

    def in_round(self, panel: Panel, number: int, settings: Sequence[str] | None = None) -> list[Run]:
        """See `plan.in_round`."""
        return plan.in_round(self.of(panel), panel, number, settings)

    def rounds_of_search(self, panel: Panel) -> int:
        """See `plan.rounds_of_search`."""
        return plan.rounds_of_search(self.of(panel), panel)

    def searched(self, panel: Panel, settings: Sequence[str]) -> list[Run]:
        """See `plan.searched`."""
        return plan.searched(self.of(panel), panel, settings)

    def to_come(self, panel: Panel) -> tuple[list[Run], int]:
        """See `plan.to_come`."""
        return plan.to_come(self.of(panel), panel)

    def confirming(self, panel: Panel, settings: Sequence[str]) -> list[Run]:
        """See `plan.confirming`."""
        return plan.confirming(self.of(panel), panel, settings)

    def strengths(self, panel: Panel) -> list[Run]:
        """See `plan.strengths`."""
        return plan.strengths(self.of(panel), panel)

    def declaration(self, panel: Panel) -> dict[str, Any]:
        """See `notes.declaration`."""
        return notes.declaration(self.of(panel), panel, self._context(panel))

    def sweeps(self, panel: Panel) -> dict[str, Any]:
        """See `notes.sweeps`."""
        return notes.sweeps(panel, self.places(panel))

    def note(self, panel: Panel) -> str:
        """See `notes.note`."""
        return notes.note(self.of(panel), panel, self._context(panel))

    def _context(self, panel: Panel) -> notes.Context:
        there = self.of(panel)
        return notes.Context(there.changes, there.reduced, self.is_shipped(panel))
