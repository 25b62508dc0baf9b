"""The one training loop: pretrain, resume, embed; and the linear probe of what was learnt."""
