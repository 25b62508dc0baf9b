"""Optimizers and the learning rate, which is a pure function of the step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from phenoviews.errors import UserError
from phenoviews.study.resolved import Probe, Training

Groups = Iterable[dict[str, Any]]

# torch warns that an optimizer which may be captured is slower where it is not; a training's first steps are not.
warnings.filterwarnings("ignore", message=".*capturable=True")

HELD = 10  # epochs for which the schedule `repo` holds the peak


def learning_rate(step: int, steps: int, steps_per_epoch: int, training: Training) -> float:
    """The learning rate of step 0, 1, … `steps` - 1.

    `lr`, times batch_size / 256 with `lr_scaling`, is the peak. Linear from `warmup_lr` at step 0 to the peak over
    `warmup_epochs`; then by `schedule`, one of `SCHEDULES`.
    """
    if training.schedule not in SCHEDULES:
        raise UserError(f"training.schedule: {training.schedule!r} is none of {', '.join(SCHEDULES)}")
    peak = peak_lr(training)
    warmup = training.warmup_epochs * steps_per_epoch
    if step < warmup:
        return training.warmup_lr + (peak - training.warmup_lr) * step / warmup
    return SCHEDULES[training.schedule](step - warmup, steps - warmup, steps_per_epoch, peak, training.min_lr)


def peak_lr(settings: Training | Probe) -> float:
    """`lr`, times batch_size / 256 with `lr_scaling` (ambiguity A-2)."""
    return settings.lr * (settings.batch_size / 256 if settings.lr_scaling else 1)


# Steps are counted from the end of the warm-up.
def constant(step: int, steps: int, steps_per_epoch: int, peak: float, least: float) -> float:
    return peak


def cosine(step: int, steps: int, steps_per_epoch: int, peak: float, least: float) -> float:
    """Along half a cosine to the least rate at step `steps` (solo-learn's form)."""
    return annealed(step / steps, peak, least)


def repo(step: int, steps: int, steps_per_epoch: int, peak: float, least: float) -> float:
    """As the code of *Contrastive Learning of Single-Cell Phenotypic Representations* has it (its ambiguity B-4): the
    peak for ten epochs, then torch's `CosineAnnealingLR`, stepped after every epoch, with the number of *iterations*
    per epoch as its T_max. So the rate changes from epoch to epoch only; where it ends depends on the size of the data
    and of the batch; and it rises again where there are more epochs than T_max."""
    return annealed(max(0, step // steps_per_epoch - HELD) / steps_per_epoch, peak, least)


def annealed(done: float, peak: float, least: float) -> float:
    """From the peak at 0 to the least rate at 1, along half a cosine."""
    return least + (peak - least) * (1 + math.cos(math.pi * done)) / 2


SCHEDULES: dict[str, Callable[[int, int, int, float, float], float]] = {
    "constant": constant,
    "cosine": cosine,
    "repo": repo,
}


def build(groups: Groups, training: Training) -> torch.optim.Optimizer:
    """The optimizer of `OPTIMIZERS` over a method's `parameter_groups()`.

    Weight decay acts on every parameter, biases and BatchNorm included, except under LARS.
    """
    if training.optimizer not in OPTIMIZERS:
        raise UserError(f"training.optimizer: {training.optimizer!r} is none of {', '.join(OPTIMIZERS)}")
    optimizer = OPTIMIZERS[training.optimizer](groups, peak_lr(training), training)
    for group in optimizer.param_groups:
        for device in _gpus(group):  # where a captured step reads what `set_lr` writes
            group["lr"] = torch.tensor(group["lr"], dtype=torch.float32, device=device)
    return optimizer


# SGD and Adam fused: one kernel for all parameters, on the CPU as on the GPU.
def sgd(groups: Groups, lr: float, training: Training) -> torch.optim.Optimizer:
    """With momentum, without Nesterov."""
    optimizer = torch.optim.SGD(
        groups, lr=lr, momentum=training.momentum, weight_decay=training.weight_decay, fused=True
    )
    # torch makes a momentum at a parameter's first gradient, and its fused step fails where some have one and others,
    # which were frozen until then, have none. From zero the first step is the same.
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def adam(groups: Groups, lr: float, training: Training) -> torch.optim.Optimizer:
    optimizer = torch.optim.Adam(groups, lr=lr, weight_decay=training.weight_decay, fused=True)
    for group in optimizer.param_groups:
        group["capturable"] = bool(_gpus(group))
    return optimizer


def _gpus(group: dict[str, Any]) -> set[torch.device]:
    """The GPU that a group's parameters are on; none on the CPU, and of a group without parameters."""
    return {parameter.device for parameter in group["params"] if parameter.device.type == "cuda"}


def lars(groups: Groups, lr: float, training: Training) -> torch.optim.Optimizer:
    return LARS(
        groups,
        lr=lr,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        clip_lr=training.lars_clip,
    )


OPTIMIZERS: dict[str, Callable[[Groups, float, Training], torch.optim.Optimizer]] = {
    "sgd": sgd,
    "adam": adam,
    "lars": lars,
}


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of all groups but those with `"scheduled": False`."""
    for group in optimizer.param_groups:
        if not group.get("scheduled", True):
            continue
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(lr)
        else:
            group["lr"] = lr


def load(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """`optimizer.load_state_dict`, of a state that may come from another kind of device: where the learning rate lies,
    and whether a step can be captured, stay as they are here."""
    here = [(group["lr"], group.get("capturable")) for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, (lr, capturable) in zip(optimizer.param_groups, here, strict=True):
        loaded = float(group["lr"])
        group["lr"] = lr.fill_(loaded) if isinstance(lr, Tensor) else loaded
        if capturable is not None:
            group["capturable"] = capturable


class LARS(torch.optim.Optimizer):
    """SGD with a learning rate per layer (You et al. 2017), in the form that solo-learn trains with.

    For a weight w (two dimensions or more) with gradient g, both of norm > 0:
    local = eta · |w| / (|g| + weight_decay · |w| + eps), with `clip_lr` min(local / lr, 1), so that local · lr never
    exceeds lr; the step's gradient is local · (g + weight_decay · w). Parameters of one dimension (biases, norms) keep
    their gradient: neither scaled nor decayed. Momentum, without Nesterov, acts on the scaled gradients.
    """

    def __init__(
        self,
        params: Groups,
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
    def step(self) -> None:  # type: ignore[override]  # there is no closure that would evaluate the loss again
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            layers = [p for p in params if p.ndim > 1 or not group["exclude_bias_n_norm"]]
            scaled = dict(zip(layers, self._scaled(layers, [p.grad for p in layers], group), strict=True))
            gradients = [scaled.get(p, p.grad) for p in params]
            new = [p for p in params if "momentum_buffer" not in self.state[p]]
            for p in new:
                self.state[p]["momentum_buffer"] = torch.zeros_like(p, memory_format=torch.preserve_format)
            if params:
                buffers = [self.state[p]["momentum_buffer"] for p in params]
                torch._foreach_mul_(buffers, group["momentum"])
                torch._foreach_add_(buffers, gradients)
                torch._foreach_sub_(params, torch._foreach_mul(buffers, group["lr"]))

    @staticmethod
    def _scaled(layers: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> Sequence[Tensor]:
        """local · (g + weight_decay · w) of each layer, without waiting for the device."""
        if not layers:
            return []
        w, g = torch.stack(torch._foreach_norm(layers)), torch.stack(torch._foreach_norm(gradients))
        local = group["eta"] * w / (g + group["weight_decay"] * w + group["eps"])
        if group["clip_lr"]:
            local = (local / group["lr"]).clamp(max=1)  # at a rate of 0 as well: infinity becomes 1
        usable = (w > 0) & (g > 0)
        local = torch.where(usable, local, 1.0)
        decay = torch.where(usable, group["weight_decay"], 0.0)
        result = torch._foreach_mul(layers, list(decay))
        torch._foreach_add_(result, gradients)
        torch._foreach_mul_(result, list(local))
        return result
