"""Adamax in one pass over memory, with the weights of torch's own to the last bit.

torch runs each of five operations over a whole weight before the next begins, which for millions of weights is five
journeys to memory and back: two thirds of a step of the papers' Table 1. Here an element takes all five at once, in the
same order and with the same rounding (torch's `lerp` multiplies and adds with one rounding, as `_fma` does).
"""

import numpy as np
import torch
from llvmlite import ir
from numba import njit
from numba.core import types
from numba.extending import intrinsic


class Adamax(torch.optim.Adamax):
    """torch's Adamax, with its state; for weights that are not in the CPU's memory as float32, its own step too."""

    @torch.no_grad()
    def step(self, closure=None) -> torch.Tensor | None:
        """One step of every weight that has a gradient."""
        every = ((weight, group) for group in self.param_groups for weight in group["params"])
        given = [(weight, group) for weight, group in every if weight.grad is not None]
        if closure is not None or not all(_is_plain(weight) and _is_plain(weight.grad) for weight, _ in given):
            return super().step(closure)
        for weight, group in given:
            _take(weight, self.state[weight], group)
        return None


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.is_cpu and tensor.is_contiguous() and tensor.dtype == torch.float32


def _take(weight: torch.Tensor, state: dict[str, torch.Tensor], group: dict) -> None:
    if not state:
        state |= {"step": torch.tensor(0.0), "exp_avg": torch.zeros_like(weight), "exp_inf": torch.zeros_like(weight)}
    state["step"] += 1
    beta1, beta2 = group["betas"]
    rate = group["lr"] / (1 - beta1 ** state["step"].item())
    numbers = np.array([1 - beta1, beta2, group["eps"], -rate], np.float32)
    tensors = weight, weight.grad, state["exp_avg"], state["exp_inf"]
    _pass(*(tensor.detach().view(-1).numpy() for tensor in tensors), *numbers)


@intrinsic
def _fma(typing, a, b, c):
    """a b + c, rounded once."""

    def built(context, builder, signature, arguments):
        kind = ir.FloatType()
        function = ir.FunctionType(kind, [kind] * 3)
        return builder.call(builder.module.declare_intrinsic("llvm.fma", [kind], function), arguments)

    return types.float32(types.float32, types.float32, types.float32), built


@njit(cache=True, error_model="numpy")
def _pass(weight, gradient, mean, largest, share, beta2, eps, rate):
    """Kingma & Ba, arXiv:1412.6980, algorithm 2; (n,) float32 each, share = 1 - beta1, rate < 0."""
    for i in range(weight.size):
        mean[i] = _fma(share, gradient[i] - mean[i], mean[i])
        faded, size = largest[i] * beta2, abs(gradient[i]) + eps
        largest[i] = faded if faded > size else size
        weight[i] += rate * mean[i] / largest[i]
