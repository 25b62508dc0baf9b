"""Profiles: what the cells of a well have in common, and whether that tells the mechanism of action.

A table of profiles is a pair: `meta`, a data frame of `Metadata_*` columns, and `x`, an array (rows, features), row by
row the same. Cells become well means, wells are post-processed (nothing, whitening, TVN), wells become treatment
medians, and treatments are scored by their nearest neighbours (*Contrastive Learning of Single-Cell Phenotypic
Representations*, section 3).

    tables        reading and checking a table; cells → wells → treatments
    postprocess   whitening on the controls; CORAL by batch; TVN, which is both
    neighbours    NSC, NSCB, their predictions, their confusions by MoA
    score         the three scores under the three post-processings, with intervals
    structure     mean average precision; how much of the variance is batch and plate
    annotated     the wells of a screen that are scored, their counts, subsets of them

`python -m phenoviews.profiles --help` scores a table of one's own.
"""
