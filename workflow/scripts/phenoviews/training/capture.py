"""A step's work on a GPU as one CUDA graph: small networks are bound not by what their kernels compute but by launching
them one by one from Python."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn

# Plain calls before a capture: by then memory, cuDNN's choice of kernels and whatever is made once have been made.
PLAIN_CALLS = 3


def assumed(network: nn.Module) -> tuple[object, ...]:
    """All that a captured step takes as it was when it was captured: the plain numbers and switches of every module,
    where its parameters and buffers lie, and which of the parameters are trained. None of it may change within an
    epoch."""
    plain = tuple(
        (name, key, value)
        for name, module in network.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, bool | int | float | str)
    )
    tensors = tuple(
        (tensor.data_ptr(), tensor.requires_grad) for tensor in itertools.chain(network.parameters(), network.buffers())
    )
    return plain, tensors


class Captured:
    """Calls a function of tensors on the GPU, always the same function and shapes, that returns a tensor or None: as it
    is at first, then captured, then replayed. It draws from torch's global generator of the GPU and from `generator`
    alone; both may be seeded between calls, and give the same numbers either way.

    Whatever the function leaves behind in attributes are tensors of the graph: the next call overwrites their values.
    It is not kept here, so that its object, and the memory of the graph, go when nobody uses them any more.
    """

    def __init__(self, generator: torch.Generator):
        self.generator = generator
        self.assumptions: tuple[object, ...] = ()
        self.forget()

    def forget(self) -> None:
        """Back to plain calls."""
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.inputs: tuple[Tensor, ...] = ()
        self.output: Tensor | None = None

    def assume(self, assumptions: tuple[object, ...]) -> None:
        """`assumed` of what the function works on, as it is now; if it is another than before, the capture is void."""
        if assumptions != self.assumptions:
            self.forget()
        self.assumptions = assumptions

    def __call__(self, function: Callable[..., Tensor | None], *inputs: Tensor) -> Tensor | None:
        if self.calls < PLAIN_CALLS:
            self.calls += 1
            return function(*inputs)
        if self.graph is None:
            self._capture(function, inputs)
        assert self.graph is not None
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.graph.replay()
        return None if self.output is None else self.output.clone()

    def _capture(self, function: Callable[..., Tensor | None], inputs: tuple[Tensor, ...]) -> None:
        """Waits for the device. Nothing is computed."""
        self.inputs = tuple(one.clone() for one in inputs)
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(self.generator)
        with torch.cuda.graph(self.graph):
            self.output = function(*self.inputs)
