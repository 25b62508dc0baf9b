"""Optimizers and the learning rate, which is a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from phenoviews.errors import UserError

HELD = 10  # epochs for which the schedule `repo` holds the peak


def learning_rate(step: int, steps: int, steps_per_epoch: int, training: dict) -> float:
    """The learning rate of step 0, 1, … `steps` - 1.

    `lr`, times batch_size / 256 with `lr_scaling`, is the peak. Linear from `warmup_lr` at step 0 to the peak over
    `warmup_epochs`; then by `schedule`:

    - `constant`: the peak.
    - `cosine`: along half a cosine to `min_lr` at step `steps` (solo-learn's form).
    - `repo`: as the code of *Contrastive Learning of Single-Cell Phenotypic Representations* has it (its ambiguity
      B-4): the peak for ten epochs, then torch's `CosineAnnealingLR`, stepped after every epoch, with the number of
      *iterations* per epoch as its T_max. So the rate changes from epoch to epoch only; where it ends depends on the
      size of the data and of the batch; and it rises again where there are more epochs than T_max.
    """
    peak = peak_lr(training)
    warmup = training["warmup_epochs"] * steps_per_epoch
    if step < warmup:
        return training["warmup_lr"] + (peak - training["warmup_lr"]) * step / warmup
    match training["schedule"]:
        case "constant":
            return peak
        case "cosine":
            done = (step - warmup) / (steps - warmup)
        case "repo":
            done = max(0, (step - warmup) // steps_per_epoch - HELD) / steps_per_epoch
        case other:
            raise UserError(f"training.schedule: {other!r} is none of cosine, constant, repo")
    return training["min_lr"] + (peak - training["min_lr"]) * (1 + math.cos(math.pi * done)) / 2


def peak_lr(settings: dict) -> float:
    """`lr`, times batch_size / 256 with `lr_scaling` (ambiguity A-2)."""
    return settings["lr"] * (settings["batch_size"] / 256 if settings["lr_scaling"] else 1)


def build(groups: Iterable[dict], training: dict) -> torch.optim.Optimizer:
    """SGD (with momentum, without Nesterov), Adam or LARS over a method's `parameter_groups()`.

    Weight decay acts on every parameter, biases and BatchNorm included, except under LARS.
    """
    settings = {"lr": peak_lr(training), "weight_decay": training["weight_decay"]}
    match training["optimizer"]:
        # Fused: one kernel for all parameters, on the CPU as on the GPU.
        case "sgd":
            return torch.optim.SGD(groups, momentum=training["momentum"], fused=True, **settings)
        case "adam":
            return torch.optim.Adam(groups, fused=True, **settings)
        case "lars":
            return LARS(groups, momentum=training["momentum"], **settings)
        case other:
            raise UserError(f"training.optimizer: {other!r} is none of sgd, adam, lars")


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all groups but those with `"scheduled": False`."""
    for group in optimizer.param_groups:
        if group.get("scheduled", True):
            group["lr"] = lr


class LARS(torch.optim.Optimizer):
    """SGD with a learning rate per layer (You et al. 2017), in the form that solo-learn trains with.

    For a weight w (two dimensions or more) with gradient g, both of norm > 0:
    local = eta · |w| / (|g| + weight_decay · |w| + eps), with `clip_lr` min(local / lr, 1), so that local · lr never
    exceeds lr; the step's gradient is local · (g + weight_decay · w). Parameters of one dimension (biases, norms) keep
    their gradient: neither scaled nor decayed. Momentum, without Nesterov, acts on the scaled gradients.
    """

    def __init__(
        self,
        params: Iterable,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        eta: float = 0.02,
        eps: float = 1e-8,
        clip_lr: bool = True,
        exclude_bias_n_norm: bool = True,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "weight_decay": weight_decay,
                "eta": eta,
                "eps": eps,
                "clip_lr": clip_lr,
                "exclude_bias_n_norm": exclude_bias_n_norm,
            },
        )

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            layers = [p for p in params if p.ndim > 1 or not group["exclude_bias_n_norm"]]
            scaled = dict(zip(layers, self._scaled(layers, group), strict=True))
            gradients = [scaled.get(p, p.grad) for p in params]
            new = [p for p in params if "momentum_buffer" not in self.state[p]]
            for p in new:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            if params:
                buffers = [self.state[p]["momentum_buffer"] for p in params]
                torch._foreach_mul_(buffers, group["momentum"])
                torch._foreach_add_(buffers, gradients)
                torch._foreach_add_(params, buffers, alpha=-group["lr"])

    @staticmethod
    def _scaled(layers: list[nn.Parameter], group: dict) -> list[Tensor]:
        """local · (g + weight_decay · w) of each layer, without waiting for the device."""
        if not layers:
            return []
        gradients = [p.grad for p in layers]
        w, g = torch.stack(torch._foreach_norm(layers)), torch.stack(torch._foreach_norm(gradients))
        local = group["eta"] * w / (g + group["weight_decay"] * w + group["eps"])
        if group["clip_lr"]:
            local = (local / group["lr"]).clamp(max=1) if group["lr"] else torch.ones_like(local)
        usable = (w > 0) & (g > 0)
        local = torch.where(usable, local, 1.0)
        decay = torch.where(usable, group["weight_decay"], 0.0)
        result = torch._foreach_mul(layers, list(decay))
        torch._foreach_add_(result, gradients)
        torch._foreach_mul_(result, list(local))
        return result
