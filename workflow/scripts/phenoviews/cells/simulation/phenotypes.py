"""How cells look: the phenotypes, which of them a mechanism of action brings about, and at which dose.

Sizes are in pixels of BBBC021 (magnification 1), intensities in multiples of an untreated cell's. The phenotypes follow
what is seen in BBBC021 and what is known of the mechanisms; none is fitted to data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

CONTROL = "DMSO"


@dataclass(frozen=True)
class Phenotype:
    # The nucleus.
    form: str = "ellipse"  # one of shapes.FORMS
    nuclei: int = 1
    nucleus: float = 1.0  # linear size
    aspect: float = 1.3
    dna: float = 1.0
    chromatin: float = 0.09  # contrast of its texture
    grain: str = "fine"  # fine, coarse: which texture
    nucleoli: float = 2.5  # expected number; 1 is exactly one
    nucleolus: float = 1.0  # their size
    # The cell's outline.
    size: float = 1.0
    elongation: float = 1.25
    irregular: float = 0.09
    spikes: float = 3.5  # expected number of pointed protrusions
    reach: float = 0.35  # their length, of the cell's radius
    round: bool = False  # rounded up: lies on its neighbours, out of focus
    # Tubulin.
    tubulin: float = 1.0
    filaments: int = 160
    curl: float = 0.9  # radians that a filament turns around the nucleus on its way out
    arcs: float = 0.3  # share of filaments that run around instead of out
    bundle: int = 1  # filaments that lie side by side
    diffuse: float = 1.0
    poles: int = 0  # of a spindle
    # Actin.
    actin: float = 1.0
    cortex: float = 1.0
    fibres: float = 7.0  # expected number of stress fibres
    puncta: float = 4.0  # expected number of bright spots
    mesh: float = 1.0  # contrast of the texture in between
    # Both.
    vacuoles: float = 0.0  # expected number of dark bubbles in the cytoplasm


INTERPHASE = Phenotype()
# Rounded up for mitosis, with condensed chromosomes.
MITOTIC = Phenotype(
    dna=2.3, chromatin=0.15, grain="coarse", nucleoli=0, size=0.62, elongation=1.05, irregular=0.02, spikes=0,
    round=True, tubulin=1.9, filaments=0, poles=2, diffuse=1.5, actin=1.5, cortex=1.6, fibres=0, puncta=3,
)  # fmt: skip

PHENOTYPES: dict[str, Phenotype] = {
    # Untreated cells.
    "interphase": INTERPHASE,
    "spread": replace(INTERPHASE, size=1.45, nucleus=1.14, fibres=16, filaments=110, elongation=1.4, tubulin=0.9),
    "spindly": replace(INTERPHASE, size=0.95, elongation=2.0, nucleus=0.93, aspect=1.5, curl=0.5, spikes=2, reach=0.6),
    "binucleate": replace(INTERPHASE, nuclei=2, nucleus=0.93, size=1.3, fibres=10),
    "prophase": replace(INTERPHASE, dna=1.5, chromatin=0.3, grain="coarse", nucleoli=0, size=0.85, irregular=0.05),
    "metaphase": replace(MITOTIC, form="plate"),
    "telophase": replace(MITOTIC, form="plate", nuclei=2, dna=1.9, size=0.8, nucleus=0.8, poles=2, elongation=1.5),
    "apoptotic": replace(
        INTERPHASE, form="condensed", dna=3.2, chromatin=0.05, nucleoli=0, size=0.5, elongation=1.1, irregular=0.04,
        spikes=4, reach=0.3, round=True, tubulin=2.2, filaments=0, diffuse=2.2, actin=1.9, cortex=0.8, fibres=0,
        puncta=14,
    ),
    # Microtubule destabilizers: no filaments are left.
    "arrested": replace(MITOTIC, form="clump", poles=0, diffuse=2.2, tubulin=1.5, puncta=6),
    "micronucleated": replace(
        INTERPHASE, form="fragments", nucleoli=0.5, dna=1.05, size=1.15, filaments=6, curl=2.5, arcs=0.8, tubulin=0.9,
        diffuse=1.9, fibres=16, cortex=1.2,
    ),
    "depolymerised": replace(
        INTERPHASE, size=1.05, irregular=0.1, spikes=5, reach=0.25, filaments=8, curl=3.0, arcs=0.7, tubulin=0.85,
        diffuse=2.0, nucleus=0.95, fibres=22, cortex=1.5, puncta=8,
    ),
    "shrunken": replace(
        INTERPHASE, nucleus=0.72, dna=1.7, chromatin=0.05, nucleoli=0, size=0.62, elongation=1.5, spikes=5, reach=0.7,
        filaments=0, diffuse=2.6, tubulin=1.3, actin=1.5, puncta=10, fibres=2,
    ),
    # Microtubule stabilizers: thick bundles.
    "asters": replace(MITOTIC, form="clump", poles=4, tubulin=2.4, diffuse=0.7),
    "bundled": replace(
        INTERPHASE, size=1.1, filaments=66, bundle=6, curl=0.5, arcs=0.55, tubulin=1.25, diffuse=0.5, fibres=5,
        nucleus=1.05,
    ),
    "multimicronucleated": replace(
        INTERPHASE, form="fragments", nucleoli=0.5, nucleus=1.12, size=1.4, filaments=90, bundle=5, curl=1.2, arcs=0.8,
        tubulin=1.2, diffuse=0.6, fibres=9,
    ),
    # Actin disruptors.
    "aggregated": replace(
        INTERPHASE, size=0.85, elongation=1.3, irregular=0.1, spikes=10, reach=0.9, nucleus=0.95, actin=1.2,
        cortex=0.15, fibres=0, puncta=45, mesh=0.6, tubulin=1.3, curl=0.3, arcs=0.1,
    ),
    "cleft": replace(
        INTERPHASE, nuclei=2, nucleus=1.0, size=1.6, irregular=0.12, spikes=1, actin=0.9, cortex=0.5, fibres=0,
        puncta=26, mesh=1.6, tubulin=0.9, filaments=100,
    ),
    # Aurora kinase inhibitors: cells that do not divide.
    "lobed": replace(
        INTERPHASE, form="lobed", nucleus=1.45, dna=0.95, chromatin=0.12, size=1.7, filaments=120, fibres=16,
        nucleoli=5, tubulin=0.85, actin=0.9,
    ),
    "giant": replace(
        INTERPHASE, nucleus=1.55, aspect=1.15, dna=0.9, chromatin=0.13, nucleoli=7, size=1.75, filaments=120,
        fibres=18, tubulin=0.8,
    ),
    # Cholesterol-lowering.
    "drawn out": replace(
        INTERPHASE, size=0.8, elongation=2.0, spikes=3, reach=2.0, nucleus=0.86, aspect=1.5, tubulin=1.6, filaments=50,
        curl=0.15, arcs=0.0, actin=1.3, fibres=1, puncta=9,
    ),
    "rounded": replace(
        INTERPHASE, size=0.68, elongation=1.1, spikes=1, reach=0.9, nucleus=0.84, aspect=1.15, tubulin=1.7,
        filaments=50, curl=2.2, arcs=0.9, actin=1.4, cortex=1.3, fibres=0, puncta=16, vacuoles=3,
    ),
    # DNA damage.
    "enlarged": replace(
        INTERPHASE, nucleus=1.3, aspect=1.2, dna=0.95, chromatin=0.05, nucleoli=1.3, nucleolus=1.6, size=1.45,
        filaments=100, tubulin=0.85, fibres=13, actin=0.95,
    ),
    "flattened": replace(
        INTERPHASE, nucleus=1.15, aspect=1.3, dna=0.8, chromatin=0.06, nucleoli=4, size=1.6, elongation=1.6,
        filaments=90, curl=0.4, tubulin=0.8, fibres=28, cortex=0.8, actin=1.1,
    ),
    # DNA replication.
    "speckled": replace(
        INTERPHASE, nucleus=1.2, dna=0.8, chromatin=0.3, grain="coarse", nucleoli=0.5, size=1.25, filaments=80,
        tubulin=1.05, fibres=8,
    ),
    "replication arrest": replace(
        INTERPHASE, nucleus=1.1, aspect=1.55, dna=0.75, chromatin=0.16, nucleoli=1, nucleolus=1.5, size=1.15,
        elongation=1.7, curl=0.4, tubulin=1.2, arcs=0.15, mesh=1.4,
    ),
    # Eg5 inhibitors: monopolar spindles.
    "monopolar": replace(MITOTIC, form="ring", poles=1, tubulin=2.4, diffuse=0.8),
    "slipped": replace(
        INTERPHASE, form="lobed", nucleus=0.95, dna=1.15, size=0.85, elongation=1.1, spikes=1, filaments=60, curl=2.0,
        tubulin=1.4, cortex=1.5, fibres=3,
    ),
    # Epithelial: compact colonies with strong junctions.
    "cobblestone": replace(
        INTERPHASE, nucleus=0.9, aspect=1.15, size=0.82, elongation=1.1, irregular=0.03, spikes=0, cortex=3.0,
        actin=1.1, fibres=1, puncta=1, tubulin=0.85, curl=1.6, arcs=0.6,
    ),
    "belted": replace(
        INTERPHASE, nucleus=0.95, size=1.0, elongation=1.5, irregular=0.05, spikes=0, cortex=2.1, fibres=24,
        actin=1.1, tubulin=0.9, curl=0.4, arcs=0.1,
    ),
    # Kinase inhibitors: small, faint.
    "faint": replace(
        INTERPHASE, nucleus=0.88, dna=0.8, chromatin=0.14, nucleoli=3.5, size=0.9, tubulin=0.6, filaments=45,
        diffuse=1.3, actin=0.65, cortex=0.6, fibres=2, puncta=7, mesh=1.6,
    ),
    "faint, small": replace(
        INTERPHASE, nucleus=0.78, aspect=1.6, dna=0.9, size=0.75, elongation=1.6, tubulin=0.7, filaments=40, curl=0.3,
        actin=0.7, cortex=1.2, fibres=1, puncta=12,
    ),
    # Protein degradation.
    "aggresome": replace(
        INTERPHASE, nucleus=0.92, aspect=1.45, size=0.95, elongation=1.5, spikes=3, reach=0.5, tubulin=1.3, curl=0.3,
        arcs=0.1, fibres=16, actin=1.2, vacuoles=2, nucleolus=1.4,
    ),
    "vacuolated": replace(
        INTERPHASE, nucleus=0.88, size=0.95, irregular=0.12, tubulin=1.25, filaments=50, fibres=6, actin=1.1,
        vacuoles=10, mesh=0.7,
    ),
    # Protein synthesis.
    "one nucleolus": replace(
        INTERPHASE, nucleus=0.84, aspect=1.15, dna=1.25, chromatin=0.04, nucleoli=1, nucleolus=2.6, size=0.78,
        irregular=0.06, tubulin=0.8, filaments=40, diffuse=1.6, actin=1.5, cortex=1.6, fibres=2, mesh=0.5,
    ),
    "withdrawn": replace(
        INTERPHASE, nucleus=0.76, dna=1.4, chromatin=0.04, nucleoli=1, nucleolus=2.0, size=0.68, elongation=1.4,
        spikes=5, reach=0.8, tubulin=1.0, filaments=30, diffuse=1.5, actin=1.6, puncta=14, fibres=0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Programme:
    """What a mechanism does to the cells that respond, and the share of cells lost where all respond."""

    phenotypes: Mapping[str, float]
    loss: float


PROGRAMMES: dict[str, Programme] = {
    "Actin disruptors": Programme({"aggregated": 0.5, "cleft": 0.5}, 0.3),
    "Aurora kinase inhibitors": Programme({"lobed": 0.5, "giant": 0.4, "apoptotic": 0.1}, 0.45),
    "Cholesterol-lowering": Programme({"drawn out": 0.5, "rounded": 0.4, "apoptotic": 0.1}, 0.35),
    "DNA damage": Programme({"enlarged": 0.6, "flattened": 0.35, "apoptotic": 0.05}, 0.4),
    "DNA replication": Programme({"speckled": 0.55, "replication arrest": 0.4, "apoptotic": 0.05}, 0.3),
    "Eg5 inhibitors": Programme({"monopolar": 0.6, "slipped": 0.3, "apoptotic": 0.1}, 0.45),
    "Epithelial": Programme({"cobblestone": 0.6, "belted": 0.4}, 0.05),
    "Kinase inhibitors": Programme({"faint": 0.65, "faint, small": 0.35}, 0.2),
    "Microtubule destabilizers": Programme(
        {"arrested": 0.25, "micronucleated": 0.3, "depolymerised": 0.3, "shrunken": 0.15}, 0.4
    ),
    "Microtubule stabilizers": Programme(
        {"asters": 0.22, "bundled": 0.33, "multimicronucleated": 0.33, "apoptotic": 0.12}, 0.45
    ),
    "Protein degradation": Programme({"aggresome": 0.5, "vacuolated": 0.4, "apoptotic": 0.1}, 0.4),
    "Protein synthesis": Programme({"one nucleolus": 0.6, "withdrawn": 0.4}, 0.3),
}
UNTREATED = Programme(
    {
        "interphase": 0.8, "spread": 0.05, "spindly": 0.05, "binucleate": 0.02, "prophase": 0.02, "metaphase": 0.03,
        "telophase": 0.01, "apoptotic": 0.02,
    },
    0.0,
)  # fmt: skip


def response(dose: float, ec50: float, hill: float) -> float:
    """The share of cells that respond, by Hill's equation; doses and `ec50` in µM."""
    share: float = 1 / (1 + (ec50 / dose) ** hill)
    return share


def draw_phenotypes(rng: np.random.Generator, expected: float, moa: str, response: float) -> list[str]:
    """The phenotype of each cell of a field, where `expected` untreated cells are expected, the share `response` of
    which meets the programme of `moa`: of those some are lost."""
    acting = PROGRAMMES.get(moa, UNTREATED)
    responding = rng.random(rng.poisson(expected)) < response
    lost = responding & (rng.random(len(responding)) < acting.loss)
    return [_one(rng, acting if responds else UNTREATED) for responds in responding[~lost]]


def _one(rng: np.random.Generator, programme: Programme) -> str:
    weights = np.array(list(programme.phenotypes.values()))
    return str(rng.choice(list(programme.phenotypes), p=weights / weights.sum()))
