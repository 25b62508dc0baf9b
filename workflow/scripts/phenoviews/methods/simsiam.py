"""SimSiam (Chen & He 2021)."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from phenoviews.methods.base import Method
from phenoviews.methods.parts import heads
from phenoviews.methods.parts.regression import regression
from phenoviews.models.backbones import Backbone


class SimSiam(Method):
    """From one view's embedding predict the other's, which gets no gradient; mean of both directions.

    `projector`: {head, hidden, out, batch_norm} of `parts.heads.projector`, with batch normalisation without weight and
    bias after its last layer; `predictor`: {hidden, batch_norm} of `parts.heads.mlp`, its input and output as long as
    the projector's output. The predictor's learning rate stays at its peak (section 4.2 there).
    """

    def __init__(self, encoder: Backbone, projector: dict[str, Any], predictor: dict[str, Any]):
        head = heads.projector(encoder.dim, **projector)
        super().__init__(encoder, heads.Head([*head, nn.BatchNorm1d(head.dim, affine=False)], head.dim))
        self.predictor = heads.mlp(head.dim, **predictor, out=head.dim)

    def pair_loss(self, first: Tensor, second: Tensor, branch: int) -> Tensor:
        """-(cos + cos) / 2 (equations 1 to 4 there): between -1 and 1."""
        embeddings = [self.embed(view) for view in (first, second)]
        predictions = [self.predictor(embedding) for embedding in embeddings]
        return (regression(predictions[0], embeddings[1]) + regression(predictions[1], embeddings[0])) / 4 - 1

    def parameter_groups(self) -> list[dict[str, Any]]:
        scheduled = [*self.encoder.parameters(), *self.projector.parameters()]
        return [{"params": scheduled}, {"params": list(self.predictor.parameters()), "scheduled": False}]
