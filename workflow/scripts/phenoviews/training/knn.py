"""What the nearest training images are, by the output of a frozen encoder."""

from __future__ import annotations

import pandas as pd

from phenoviews.data.pool import pool
from phenoviews.measures import knn as measures
from phenoviews.training.embed import embedded, evaluation_view, fetched
from phenoviews.training.subject import Subject


def knn(subject: Subject, k: int, temperature: float) -> pd.DataFrame:
    """`measures.knn` of the test images among the training images, whose embeddings are computed here and not kept."""
    train = pool(subject.images, "train", subject.device)
    chunks = fetched(embedded(subject.network, train, evaluation_view(subject.dataset)), len(train))
    labels = {split: subject.images.labels(split) for split in ("test", "train")}
    return measures.knn(subject.test, labels["test"], chunks, labels["train"], k, temperature)
