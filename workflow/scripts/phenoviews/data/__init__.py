"""Data sets as arrays and an index on disk: download, read, split, open.

`readers` turn what was downloaded (or what a user brings) into `images.npy` and `index.parquet`; `Images` opens them,
and `phenoviews.data.pool` gives them to a network.
"""

from phenoviews.data.images import Images, write

__all__ = ["Images", "write"]
