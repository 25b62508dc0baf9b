"""The one training loop: pretrain, resume, embed; and the linear probe of what was learnt."""

from phenoviews.training.embed import embed
from phenoviews.training.loop import pretrain
from phenoviews.training.probe import probe

__all__ = ["embed", "pretrain", "probe"]
