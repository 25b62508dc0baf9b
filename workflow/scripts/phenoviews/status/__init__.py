"""Where a study stands while it runs: what is done, running, waiting, failed, and what it has cost."""
