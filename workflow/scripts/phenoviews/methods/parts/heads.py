"""Heads: the small networks between a backbone's features and a loss."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from phenoviews.errors import UserError


class Head(nn.Sequential):
    """Layers in a row: (n, inputs) → (n, dim)."""

    def __init__(self, layers: Sequence[nn.Module], dim: int):
        super().__init__(*layers)
        self.dim = dim


def mlp(inputs: int, hidden: Sequence[int], out: int, batch_norm: bool, activation: type[nn.Module] = nn.ReLU) -> Head:
    """A head (n, inputs) → (n, out): per hidden size Linear, BatchNorm if wanted, activation; then Linear.

    The form of solo-learn's projectors and predictors of SimCLR, MoCo v2+, BYOL and VICReg; all linear layers
    have biases and torch's default start.
    """
    layers: list[nn.Module] = []
    for size in hidden:
        layers.append(nn.Linear(inputs, size))
        if batch_norm:
            layers.append(nn.BatchNorm1d(size))
        layers.append(activation())
        inputs = size
    return Head([*layers, nn.Linear(inputs, out)], out)


def projector(inputs: int, hidden: Sequence[int | str], out: int, batch_norm: bool, head: str = "mlp") -> Head:
    """A method's projector (n, inputs) → (n, dim).

    `head`: `mlp` of all the others, where a hidden size `encoder` stands for `inputs`, the encoder's own width;
    `linear`: one Linear(inputs, out); `identity`: the features themselves, so that dim is `inputs`. What a head has no
    use for is ignored, so that another head is one change of a setting.

    Raises `UserError` for another head.
    """
    match head:
        case "mlp":
            return mlp(inputs, [inputs if isinstance(size, str) else size for size in hidden], out, batch_norm)
        case "linear":
            return mlp(inputs, [], out, batch_norm)
        case "identity":
            return Head([], inputs)
        case other:
            raise UserError(f"projector head: {other!r} is none of mlp, linear, identity")
