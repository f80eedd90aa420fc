"""The training loop: a fixed number of epochs, every random number a function of (seed, step)."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch

from zoo._fields import check_input, name_of
from zoo._fitted import BATCH_SIZE, Fitted, check_features, torch_threads
from zoo._preprocess import Preprocess, fit_preprocess

LABELS = {"ER": 0, "NR": 1}
INIT, SPLIT, ORDER, STEP, VALIDATION = range(5)  # what a stream is for; part of its key

History = dict[str, list[float]]
Report = Callable[[int, dict[str, float]], None]


class NonFiniteLoss(ValueError):
    """The loss of an epoch was infinite or not a number."""


def fit(
    family: ModuleType,
    config: Any,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    threads: int = 1,
    report: Report | None = None,
) -> Fitted:
    """Train a family for `config.epochs` epochs and keep the weights of the last, as the papers do.

    features: (n, n_features) of any real dtype, converted to float32 batch by batch; labels: (n,), 0 ER and
    1 NR, of the kinds in `family.TRAINS_ON` only. A seeded permutation sets `config.validation_fraction` of
    the events aside (at least one); preprocessing sees the training part alone. `report(epoch, metrics)` is
    called after every epoch, counted from 1, with that epoch's row of the history. The same arguments give
    the same bits on the same machine.

    Raises ValueError for features, labels or a seed that do not fit, and NonFiniteLoss naming family and
    epoch.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    _check(family, features, labels, seed)
    train, validation = _split(len(features), config.validation_fraction, seed)
    preprocess = fit_preprocess(config.preprocess, features, train)
    with torch_threads(threads), torch.random.fork_rng(devices=[]):
        run = _start(family, config, _Data(features, labels, preprocess), seed)
        history = _train(run, train, validation, report)
    return Fitted(family, config, features.shape[1], run.module.eval(), preprocess, history, seed)


class _Data:
    """Batches of scaled features and labels, converted when they are asked for."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, preprocess: Preprocess):
        self.features, self.preprocess = features, preprocess
        self.labels = torch.from_numpy(labels.astype(np.float32))

    def batches(self, rows: np.ndarray, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            yield self.preprocess.apply(self.features[batch]), self.labels[batch]


def _stream(seed: int, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=key)


def _generator(seed: int, *key: int) -> torch.Generator:
    """Torch's global generator (inside fork_rng), set to a stream of its own."""
    (state,) = _stream(seed, *key).generate_state(1, np.uint64)
    return torch.default_generator.manual_seed(int(state))


def _permutation(n: int, seed: int, *key: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(_stream(seed, *key))).permutation(n)


def _split(n: int, validation_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training and of the validation part; neither is empty."""
    n_validation = min(max(round(validation_fraction * n), 1), n - 1)
    order = _permutation(n, seed, SPLIT)
    return order[n_validation:], order[:n_validation]


@dataclass(frozen=True)
class _Run:
    """One fit on its way."""

    family: ModuleType
    config: Any
    module: torch.nn.Module
    optimizer: torch.optim.Optimizer
    data: _Data
    seed: int

    def epoch(self, number: int, rows: np.ndarray) -> dict[str, float]:
        """One pass over the training rows in an order of its own; the mean loss while the weights moved."""
        self.module.train()
        curves = _Curves()
        order = rows[_permutation(len(rows), self.seed, ORDER, number)]
        for step, (x, label) in enumerate(self.data.batches(order, self.config.batch_size)):
            generator = _generator(self.seed, STEP, number, step)
            loss, parts = self.family.loss(self.module, x, label, generator, self.config)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            curves.add(loss, parts, len(x))
        return curves.means("train_")

    @torch.no_grad()
    def validate(self, rows: np.ndarray) -> dict[str, float]:
        """The training loss on the validation rows, with the same noise in every epoch."""
        self.module.eval()
        curves = _Curves()
        generator = _generator(self.seed, VALIDATION)
        for x, label in self.data.batches(rows, BATCH_SIZE):
            curves.add(*self.family.loss(self.module, x, label, generator, self.config), len(x))
        return curves.means("validation_")


def _start(family: ModuleType, config: Any, data: _Data, seed: int) -> _Run:
    """The module and optimiser before the first step."""
    _generator(seed, INIT)
    module = family.build(config, data.features.shape[1])
    return _Run(family, config, module, family.optimizer(module.parameters(), config), data, seed)


def _train(run: _Run, train: np.ndarray, validation: np.ndarray, report: Report | None) -> History:
    history = defaultdict(list)
    for epoch in range(1, run.config.epochs + 1):
        metrics = run.epoch(epoch, train) | run.validate(validation)
        _require_finite(metrics, run.family, epoch)
        for name, value in metrics.items():
            history[name].append(value)
        if report is not None:
            report(epoch, metrics)
    return dict(history)


class _Curves:
    """Means per event over an epoch, kept as tensors: one synchronisation per epoch, not per step."""

    def __init__(self):
        self.total, self.n, self.names = 0.0, 0, ()

    def add(self, loss: torch.Tensor, parts: dict[str, torch.Tensor], n: int) -> None:
        self.names = ("loss", *parts)
        self.total = self.total + n * torch.stack([loss.detach(), *parts.values()]).double()
        self.n += n

    def means(self, prefix: str) -> dict[str, float]:
        means = (self.total / self.n).tolist()
        return {prefix + name: mean for name, mean in zip(self.names, means, strict=True)}


def _require_finite(metrics: dict[str, float], family: ModuleType, epoch: int) -> None:
    bad = [f"{name} = {value}" for name, value in metrics.items() if not np.isfinite(value)]
    if bad:
        raise NonFiniteLoss(
            f"{name_of(family)}: {', '.join(bad)} in epoch {epoch}; a smaller learning_rate or another "
            "preprocess may keep it finite."
        )


def _check(family: ModuleType, features: np.ndarray, labels: np.ndarray, seed: int) -> None:
    check_features(features)
    check_input(family, features.shape[1])
    if len(features) < 2:
        raise ValueError(f"{name_of(family)}: {len(features)} events are too few; fit needs at least 2.")
    if labels.shape != (len(features),):
        raise ValueError(f"labels of shape {labels.shape} are not accepted; they must be ({len(features)},).")
    wanted = [LABELS[kind] for kind in family.TRAINS_ON]
    found = np.unique(labels).tolist()
    if found != wanted:
        raise ValueError(
            f"{name_of(family)} trains on {' and '.join(family.TRAINS_ON)}: its labels must be {wanted} "
            f"(0 ER, 1 NR), and are {found[:5]}."
        )
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed = {seed!r} is not accepted; it must be an integer of at least 0.")
