"""A study that uses every rule once or twice, as small as configuration makes it."""

from __future__ import annotations

DIGITS = {"dataset": "digits", "transform": "mnist_first", "backbone": "vgg11"}
CELLS = {"dataset": "some_cells", "method": "moco", "backbone": "vgg11"}
TREATMENTS = {
    "dataset": "some_treatments",
    "transform": "single_cell+random_grayscale=off",
    "method": "simclr",
    "backbone": "vgg11",
}
FROZEN = {"transform": "plain", "method": "untrained", "backbone": "vgg11"}
PLATE = {"plates": ["Week1_00001"]}

PANELS = {
    "digits": {
        "title": "Two methods",
        "runs": {**DIGITS, "method": ["simclr", "moco"]},
        "metrics": ["ami", "top1", "lpips"],
        "clusters": 10,
        "rows": ["method"],
        "columns": ["metric"],
    },
    "map": {"title": "A map", "plot": "tsne", "runs": {**DIGITS, "method": "simclr"}, "clusters": 10},
    "nearest": {
        "title": "Digits nearest to each centroid",
        "plot": "nearest",
        "runs": {**DIGITS, "method": "simclr"},
        "clusters": 10,
        "images": 5,
        "metrics": ["ami", "thickness_by_cluster", "fine_tuned_top1"],
        "rows": ["metric"],
        "columns": ["backbone"],
    },
    "cells": {
        "title": "Cells",
        "runs": [{**CELLS, "transform": "cell_first"}, {**FROZEN, "dataset": "some_cells"}],
        "metrics": ["ami", "knn"],
        "clusters": 2,
        "rows": ["transform", "method"],
        "columns": ["metric"],
    },
    "doses": {"title": "Doses", "plot": "doses", "runs": {**FROZEN, "dataset": "some_doses"}},
    "scores": {
        "title": "Scores",
        "runs": TREATMENTS,
        "where": {"postprocessing": ["none", "tvn"]},
        "metrics": ["nsc", "map_replicates"],
        "rows": ["postprocessing"],
        "columns": ["metric"],
    },
    "epochs": {
        "title": "Scores on the way",
        "runs": TREATMENTS,
        "metrics": ["nsc_by_epoch", "nscb_by_epoch"],
        "rows": ["epoch"],
        "columns": ["postprocessing", "metric"],
    },
    "treatments": {
        "title": "Treatments",
        "plot": "treatments",
        "runs": TREATMENTS,
        "where": {"postprocessing": ["none"]},
    },
}

# Laid over the demo's scale. The screen's one plate is small, and has three compounds.
SMALL = {
    "seeds": [5],
    "backbones": {"vgg11": {"width": 0.125}},
    "screens": {"simulated": {"simulation": {"width": 256, "height": 224, "cells": 30}}},
    "recipes": {
        "mnist": {
            "training": {"epochs": 1, "batch_size": 256},
            "methods": {"moco": {"queue": 256}},
            "probe": {"epochs": 2, "milestones": [1]},
            "fine_tuning": {
                "transform": "plain",
                "training": {"epochs": 1, "batch_size": 256, "optimizer": "sgd", "lr": 0.01},
            },
        },
        "cells": {"training": {"epochs": 1, "batch_size": 16}, "methods": {"moco": {"queue": 32}}},
        "treatments": {"training": {"epochs": 1, "batch_size": 64, "snapshot_epochs": 1}},
    },
}
# What is added to the study itself.
ADDED = {
    "datasets": {
        "some_cells": {
            "kind": "cells",
            "screen": "simulated",
            **PLATE,
            "compound": "nocodazole",
            "highest_doses": 4,
            "cells": 80,
            "side": 48,
            "size": 32,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "recipe": "cells",
        },
        "some_doses": {
            "kind": "cells",
            "screen": "simulated",
            **PLATE,
            "compound": "nocodazole",
            "test_fraction": 1,
            "side": 48,
            "size": 32,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "recipe": "cells",
        },
        "some_treatments": {
            "kind": "treatments",
            "screen": "simulated",
            **PLATE,
            "fraction": 0.5,
            "side": 48,
            "size": 32,
            "mean": "own",
            "std": "own",
            "recipe": "treatments",
        },
    },
    "methods": {"untrained": {"size": 32}},
    "panels": {"small": PANELS},
}

# A claim and a published value, as a paper has them.
RESOURCES = {
    "claims/small.yaml": """small_digits:
  - id: S.c1
    says: SimCLR clusters digits as well as MoCo v2+.
    holds: [ami of simclr > ami of moco]
""",
    "published/small.csv": (
        "paper,panel,dataset,transform,method,backbone,metric,unit,value,n_seeds,decimals,note\n"
        "small,digits,digits,mnist_first,simclr,vgg11,ami,,0.51,1,2,\n"
    ),
}
