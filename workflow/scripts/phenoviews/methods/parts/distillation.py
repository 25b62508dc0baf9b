"""One distribution learnt from another."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from phenoviews.methods.parts.float32 import in_float32


@in_float32
def distillation(scores: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Cross-entropy between target distributions (n, k) and the softmax of scores (n, k) over `temperature`: a scalar,
    mean over the n rows; targets get no gradient. Equation 2 of SwAV (Caron et al. 2020) and of DINO (Caron et al.
    2021), equation 5 of ReSSL (Zheng et al. 2021)."""
    return F.cross_entropy(scores / temperature, targets.detach())
