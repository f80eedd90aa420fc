"""Who computes a batch: one process, or several that each take a slice of it and average their gradients.

The numbers are those of one process: the order of events and the noise are drawn for the whole batch, by every
rank alike, and sliced. What differs is the order of sums, about 1e-7 of a gradient.
"""

import os
import warnings
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.overrides import TorchFunctionMode

from zoo._device import sent, there

PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True)
class BatchShare:
    """Rows [start, stop) of a batch of `whole` events: a rank's own. None, where ranks outnumber events."""

    start: int
    stop: int
    whole: int

    @property
    def n(self) -> int:
        """Events that count."""
        return self.stop - self.start

    @property
    def taken(self) -> slice:
        """Rows to compute: at least one, for every rank must come to the sum of gradients."""
        return slice(self.start, self.stop) if self.n else slice(0, 1)


class WholeBatchNoise(TorchFunctionMode):
    """Random tensors of a slice of a batch, drawn on the CPU for the whole batch and sliced.

    It serves `randn`, `rand`, their `_like` forms and dropout, where the first dimension is the slice's events.
    """

    def __init__(self, share: BatchShare, device: torch.device):
        super().__init__()
        self.share, self.device = share, device

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function in (torch.randn, torch.rand):
            size = args if isinstance(args[0], int) else args[0]
            return self._drawn(function, size, kwargs.get("generator"))
        if function in (torch.randn_like, torch.rand_like):
            return self._drawn(getattr(torch, function.__name__.removesuffix("_like")), args[0].shape, None)
        if function is nn.functional.dropout and kwargs.get("training", True):
            p = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
            return args[0] * self._sliced(args[0].shape, lambda size: function(torch.ones(size), p))
        return function(*args, **kwargs)

    def _drawn(self, draw, size, generator: torch.Generator | None) -> torch.Tensor:
        return self._sliced(size, lambda whole: draw(whole, generator=generator))

    def _sliced(self, size, draw) -> torch.Tensor:
        n, *rest = size
        if n != len(range(self.share.whole)[self.share.taken]):
            return sent(draw(tuple(size)), self.device)
        return sent(draw((self.share.whole, *rest))[self.share.taken], self.device)


@dataclass(frozen=True)
class Team:
    """This process among those that train one model, its device, and the precision of its matrix products.

    waits: whether losses are read at every step, before weights move; else once per epoch, so that the host need not
    wait for the device between two steps. compiled: whether training steps are.
    """

    rank: int
    size: int
    device: torch.device
    precision: str
    waits: bool = True
    compiled: bool = False

    def share(self, n: int) -> BatchShare:
        """This rank's slice of a batch of n events."""
        return BatchShare(self.rank * n // self.size, (self.rank + 1) * n // self.size, n)

    def computing(self, share: BatchShare, precision: str) -> AbstractContextManager:
        """Noise of the whole batch, and autocast for bf16; one process on the CPU in float32 needs neither."""
        stack = ExitStack()
        if self.size > 1 or self.device.type != "cpu":
            stack.enter_context(WholeBatchNoise(share, self.device))
        if precision == "bf16":
            stack.enter_context(torch.autocast(self.device.type, torch.bfloat16))
        if self.compiled:
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", message="The .grad attribute")  # at which torch looks while it compiles
        return stack

    def objective(self, family: ModuleType, module: nn.Module, config: Any) -> nn.Module:
        """(x, label, generator, config) -> the family's loss; its backward averages the gradients of the ranks."""
        alone = _Objective(family, module, config, self.compiled)
        return alone if self.size == 1 else DistributedDataParallel(alone, broadcast_buffers=False)

    def scaled(self, loss: torch.Tensor, share: BatchShare) -> torch.Tensor:
        """The mean of a slice so weighted that the mean over ranks is the batch's."""
        return loss if self.size == 1 else loss * (share.n * self.size / share.whole)

    def sums(self, values: list[float]) -> list[float]:
        """Sums over the ranks."""
        if self.size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        return total.tolist()

    def any(self, flag: bool) -> bool:
        """Whether it holds on one of the ranks; all of them get the same answer."""
        return flag if self.size == 1 else self.sums([float(flag)])[0] > 0

    def of_first(self, data: bytes | None) -> bytes | None:
        """Rank 0's bytes on every rank; another may have read them a moment earlier."""
        if self.size == 1:
            return data
        length = int(self.sums([float(len(data or b"")) if self.rank == 0 else 0.0])[0])
        held = torch.zeros(length, dtype=torch.uint8, device=self.device)
        if self.rank == 0 and length:
            held = torch.frombuffer(bytearray(data), dtype=torch.uint8).to(self.device)
        distributed.broadcast(held, src=0)
        return held.cpu().numpy().tobytes() or None


def team(device: str, precision: str, compiled: bool = False) -> Team:
    """This process in torch's process group, or alone where there is none. Raises ValueError for a precision, and for a
    device that is not there."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision = {precision!r} is not accepted; it must be one of {', '.join(PRECISIONS)}.")
    grouped = distributed.is_available() and distributed.is_initialized()
    rank, size = (distributed.get_rank(), distributed.get_world_size()) if grouped else (0, 1)
    where = there(device)
    return Team(rank, size, where, precision, where.type == "cpu", compiled)


class _Objective(nn.Module):
    """A family's loss as a module's forward, which is where gradients are averaged.

    Compiled, if so asked, for `config` alone: each step of a warm-up has another, and would be compiled anew. And for
    each size of a batch alone: what a size is computed by must not depend on those that came before, as they do not in
    a fit that goes on.
    """

    def __init__(self, family: ModuleType, module: nn.Module, config: Any, compiled: bool):
        super().__init__()
        self.family, self.module, self.usual = family, module, config
        if compiled:
            os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # else a process for each CPU of the host
        self.loss = torch.compile(family.loss, dynamic=False) if compiled else family.loss

    def forward(self, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Any):
        """The family's loss of a batch."""
        loss = self.loss if config is self.usual else self.family.loss
        return loss(self.module, x, label, generator, config)
