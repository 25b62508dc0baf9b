"""The one training loop: pretrain, resume, embed; and what is measured of an encoder."""
