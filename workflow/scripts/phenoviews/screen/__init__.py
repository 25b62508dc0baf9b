"""A look at a screen before anything is computed: the command `python -m phenoviews.screen check`."""
