"""What is done to well profiles before they are compared: nothing, whitening, or TVN.

Perakis et al. 2021 as their code has it: whitening by the negative controls (regularised PCA whitening), then, for TVN
(typical variation normalisation, Ando et al. 2017), CORAL (Sun et al. 2016), which gives the controls of every batch
the second moments of all controls.
"""

from __future__ import annotations

import numpy as np

from phenoviews.errors import UserError

POSTPROCESSINGS = ("none", "whitening", "tvn")
EPS = np.finfo(np.float64).eps
ROWS = 4096  # that are orthogonalised at once


def postprocessed(
    x: np.ndarray,
    control: np.ndarray,
    batch: np.ndarray | None,
    reg: float = 1.0,
    coral_reg: float = 1.0,
    coral_source_reg: float | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """`x` (wells, d) under each of `POSTPROCESSINGS`; see `whiten` and `coral`. `batch` may be missing.

    Returns:
        found: post-processing → (wells, e).
        undefined: post-processing → why these wells do not allow it.
    """
    found, undefined = {"none": np.asarray(x, dtype=np.float64)}, {}
    try:
        found["whitening"] = whiten(x, control, reg)
        if batch is None:
            raise UserError("TVN needs the batch of every well, and there is none")
        found["tvn"] = coral(found["whitening"], control, batch, coral_reg, coral_source_reg)
    except UserError as error:
        undefined = {name: str(error) for name in POSTPROCESSINGS if name not in found}
    return found, undefined


def whiten(x: np.ndarray, control: np.ndarray, reg: float = 1.0) -> np.ndarray:
    """Principal axes of the controls, each divided by the root of the controls' variance along it plus `reg`.

    With m the controls' mean and C = (1/n) Σ (x - m)(x - m)ᵀ = V diag(s) Vᵀ over the n controls, the result is
    (x - m) V diag(1 / √(s + reg)). Profiles have more features than there are controls, as a rule; so there are
    directions in which the controls do not vary (s = 0) though the treatments do. They are divided by √reg, which
    therefore decides the result (ambiguity B-17). C does not say which axes they have; here they are the principal
    axes of all wells, so that the medians taken afterwards do not depend on the library that found V.

    Args:
        x: (wells, d).
        control: (wells,) bool.
        reg: the regulariser, ≥ 0; 1 in the paper's code.

    Returns:
        (wells, e) float64, e ≤ d: axes along which no well varies are left out; they are 0.

    Raises:
        UserError: fewer than two controls, or reg = 0 and directions in which the controls do not vary.
    """
    x, control = np.asarray(x, dtype=np.float64), np.asarray(control, dtype=bool)
    n = int(control.sum())
    if n < 2:
        raise UserError(f"whitening needs at least two wells of the negative control, and there are {n}")
    if reg < 0:
        raise UserError(f"whitening: the regulariser is {reg}, and must not be negative")
    # Differences to one well first: a feature that is constant then is 0 exactly, and never rounding noise.
    centred = x - x[control][0]
    centred -= centred[control].mean(axis=0)
    small = EPS * max(x.shape) * np.linalg.norm(centred)
    _, scale, axes = np.linalg.svd(_triangle(centred[control]), full_matrices=False)
    axes, variance = axes[scale > small], scale[scale > small] ** 2 / n
    onto = axes / np.sqrt(variance + reg)[:, None]
    if len(axes) < x.shape[1]:
        rest = _triangle(centred)
        rest -= rest @ axes.T @ axes
        _, scale, others = np.linalg.svd(rest, full_matrices=False)
        others = others[scale > small]
        if reg == 0 and len(others):
            raise UserError(
                f"whitening: the {n} controls vary in {len(axes)} directions and the wells in {len(others)} more; "
                "give a positive regulariser"
            )
        onto = np.vstack([onto, others / np.sqrt(reg or 1)])
    found: np.ndarray = centred @ onto.T
    return found


def coral(
    x: np.ndarray, control: np.ndarray, batch: np.ndarray, reg: float = 1.0, source_reg: float | None = None
) -> np.ndarray:
    """Each batch re-coloured so that its controls have the second moments of all controls.

    With M = (1/n) Σ xxᵀ + reg·I over all controls and M_b = (1/n_b) Σ xxᵀ + source_reg·I over those of batch b (neither
    centred), the wells of b become x M_b^(-1/2) M^(1/2). With one batch, and one regulariser, this is x.

    Args:
        x: (wells, d), whitened.
        control: (wells,) bool.
        batch: (wells,) the batch of each well.
        reg: the regulariser, ≥ 0; 1 in the paper's code.
        source_reg: that of the batches, `reg` unless given. The paper's code adds 1 there whatever `reg` is (ambiguity
            B-17), which is the same as long as `reg` is 1.

    Returns:
        (wells, d) float64.

    Raises:
        UserError: a batch without controls, or reg = 0 and a batch whose controls do not span all directions.
    """
    x, control, batch = np.asarray(x, dtype=np.float64), np.asarray(control, dtype=bool), np.asarray(batch)
    source_reg = reg if source_reg is None else source_reg
    if reg < 0 or source_reg < 0:
        raise UserError(f"TVN: the regulariser is {min(reg, source_reg)}, and must not be negative")
    without = sorted(set(batch.tolist()) - set(batch[control].tolist()))
    if without:
        raise UserError(
            f"TVN needs wells of the negative control in every batch; there are none in {len(without)} "
            f"({', '.join(map(str, without[:3]))}{' …' if len(without) > 3 else ''})"
        )
    found = np.empty_like(x)
    for name in np.unique(batch):
        here = np.flatnonzero(batch == name)
        of = x[here[control[here]]]
        found[here] = _times_power(x[here], of, source_reg, -0.5, f"batch {name}")
    return _times_power(found, x[control], reg, 0.5, "all batches")


def _times_power(x: np.ndarray, of: np.ndarray, reg: float, power: float, where: str) -> np.ndarray:
    """x M^power with M = (1/n) Σ yyᵀ + reg·I over the n rows y of `of`: M is reg·I but along the axes of `of`."""
    if len(of) < x.shape[1]:
        _, scale, axes = np.linalg.svd(of, full_matrices=False)
        values = scale**2 / len(of)
    else:
        values, vectors = np.linalg.eigh(of.T @ of / len(of))
        axes = vectors.T
    kept = values > EPS * max(of.shape) * values.max(initial=0)
    values, axes = values[kept], axes[kept]
    if reg == 0 and power < 0 and len(axes) < x.shape[1]:
        raise UserError(
            f"TVN: the {len(of)} controls of {where} span {len(axes)} of {x.shape[1]} directions; give a positive "
            "regulariser"
        )
    elsewhere = reg**power if reg else 0.0
    weights = (values + reg) ** power - elsewhere
    if len(axes) > x.shape[1] // 2:  # as one matrix it is less to multiply
        whole: np.ndarray = x @ (elsewhere * np.eye(x.shape[1]) + axes.T * weights @ axes)
        return whole
    found: np.ndarray = x @ axes.T * weights @ axes
    found += elsewhere * x
    return found


def _triangle(x: np.ndarray) -> np.ndarray:
    """(min(n, d), d) R with x = QR, for x (n, d), a part of the rows at a time: its singular values and right singular
    vectors are those of x."""
    found = x[:0]
    for start in range(0, len(x), ROWS):
        found = np.asarray(np.linalg.qr(np.vstack([found, x[start : start + ROWS]]), mode="r"))
    return found
