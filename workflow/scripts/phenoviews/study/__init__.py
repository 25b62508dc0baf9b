"""The study: config.yaml → runs, their settings, their plan and their paths. Pure, and quick to import: no torch.

Everything that a stage does is decided here and handed to it as plain data. Each job is a module: `document` (what is
shipped, what is laid over it, what that changes), `names` and `schema` (overrides and refusals), `resolve` (names →
settings), `plan` (panels → runs, and what these ask for), `checks`, `notes` (what panels are told), `paths`, and `code`
(what a rule's code is).
"""

from __future__ import annotations

from typing import Any

from phenoviews.study import notes, plan
from phenoviews.study.checks import check
from phenoviews.study.document import at_scale, changes, merge, validated
from phenoviews.study.panel import Panel
from phenoviews.study.resolve import Resolver
from phenoviews.study.run import Run
from phenoviews.study.schema import complete, schema

__all__ = ["Panel", "Run", "Study", "merge"]


class Study(Resolver):
    """A validated config document at its scale. Raises `UserError` for anything in it that cannot be.

    `shipped`: the document as the project ships it, of which `config` is a changed copy; every panel then names the
    changes.
    """

    def __init__(self, config: dict[str, Any], shipped: dict[str, Any] | None = None):
        document = validated(config)
        super().__init__(complete(document, schema()))
        # Compared at the scale, since a change under `scales` is a change too.
        self.changes = list(changes(at_scale(shipped, self.scale), document)) if shipped else []
        self.panels = {
            panel.name: panel
            for paper, items in self.config["panels"].items()
            for panel in (Panel(paper, item, declared) for item, declared in items.items())
        }
        check(self, self.panels)

    def places(self, panel: Panel) -> list[plan.Place]:
        """See `plan.places`."""
        return plan.places(self, panel)

    def runs(self, panel: Panel) -> list[Run]:
        """See `plan.runs`."""
        return plan.runs(self, panel)

    def load(self, run: Run) -> plan.Load:
        """See `plan.load`."""
        return plan.load(self, run)

    def declaration(self, panel: Panel) -> dict[str, Any]:
        """See `notes.declaration`."""
        return notes.declaration(self, panel, self.changes)

    def sweeps(self, panel: Panel) -> dict[str, Any]:
        """See `notes.sweeps`."""
        return notes.sweeps(panel, self.places(panel))

    def note(self, panel: Panel) -> str:
        """See `notes.note`."""
        return notes.note(self, panel, self.changes)
