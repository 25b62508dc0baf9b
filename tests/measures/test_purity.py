from __future__ import annotations

import numpy as np
import pytest

from phenoviews.errors import NotMeasured
from phenoviews.measures.purity import phenotypes, purity


def values(clusters, labels, truth) -> dict[str, float]:
    return phenotypes(clusters, labels, truth).set_index("metric")["value"].to_dict()


def test_purity_by_hand():
    truth = np.array(["a", "a", "b", "b", "b", "c"])
    assert purity(truth, np.array([0, 0, 0, 1, 1, 1])) == pytest.approx((2 + 2) / 6)
    assert purity(truth, np.zeros(6)) == 3 / 6  # one cluster: the share of the commonest
    assert purity(truth, truth) == 1
    assert purity(truth, np.arange(6)) == 1


def test_clusters_may_tell_more_than_which_cells_are_treated():
    truth = np.array(["interphase"] * 6 + ["arrested", "arrested", "micronucleated", "micronucleated"], dtype=object)
    treated = np.repeat([0, 1], [6, 4])
    by_phenotype = np.array([0] * 3 + [1] * 3 + [2, 2, 3, 3])
    found = values(by_phenotype, treated, truth)
    assert found == {"phenotype_purity": 1, "phenotype_purity_by_class": 0.8}
    assert values(treated, treated, truth)["phenotype_purity"] == 0.8


def test_cells_without_a_phenotype_do_not_count():
    truth = np.array(["a", "", "b", ""], dtype=object)
    found = values(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0]), truth)
    assert found == {"phenotype_purity": 1, "phenotype_purity_by_class": 0.5}
    with pytest.raises(NotMeasured, match="the phenotypes of these cells are not known"):
        phenotypes(np.array([0, 1]), np.array([0, 1]), np.array(["", ""], dtype=object))
