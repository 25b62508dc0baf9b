"""`phenoviews.panels.figures.nearest` by its former name, which scripts outside of this project import."""

from phenoviews.panels.figures.nearest import figure

__all__ = ["figure"]
