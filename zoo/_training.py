"""The training loop: every random number a function of (seed, epoch, step), so that it may stop and go on anywhere."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch

from zoo._checkpoint import Progress, pack, restore
from zoo._curves import Curves
from zoo._device import check_compiler, reproducible
from zoo._fields import identity, name_of
from zoo._fitted import BATCH_SIZE, Fitted, torch_threads
from zoo._grown import fit_grown
from zoo._inputs import TrainingData, check, check_batch, cut, placed
from zoo._memory import named
from zoo._nonfinite import explain, explain_later, is_finite
from zoo._preprocess import fit_preprocess
from zoo._streams import INIT, ORDER, STEP, VALIDATION, generator, permutation, seeded, split, state
from zoo._team import BatchShare, Team, team

Report = Callable[[dict[str, list[float]]], None]
Save = Callable[[Callable[[], bytes]], None]


def fit(
    family: ModuleType,
    config: Any,
    features: np.ndarray,
    labels: np.ndarray,
    *,
    seed: int,
    threads: int = 1,
    report: Report | None = None,
    save: Save | None = None,
    resume: bytes | None = None,
    until: int | None = None,
    lineage: str = "",
    device: str = "cpu",
    precision: str = "float32",
    compiled: bool = False,
    watched: np.ndarray | None = None,
    start: Fitted | None = None,
) -> Fitted:
    """Train a family for `config.epochs` epochs and keep the weights of the last, as the papers do.

    `config.patience`, `config.keep` and `config.warm_up_epochs` change that where a family has them, and
    `config.schedule` the learning rate on the way, see `zoo`.

    features: (n, n_features) of any real dtype, converted to float32 batch by batch; labels: (n,), 0 ER and
    1 NR, of the kinds in `family.TRAINS_ON` only, or the numbers that a regressor is to estimate. A seeded
    permutation sets `config.validation_fraction` of the events aside (at least one); preprocessing sees the training
    part alone. `report(history)` is called at the beginning, where a fit that goes on has the epochs of before, and
    after every epoch, with the curves so far: one object, which grows. The same arguments give the same bits on the
    same machine.

    `save(state)` is called after every epoch: `state()` gives the fit so far as bytes, which cost something only
    if they are asked for. Given as `resume`, the fit goes on behind that epoch and ends with the same bits;
    `lineage` is the caller's name for the data and all else that makes the fit. `until` ends the call behind that
    epoch, with the model as it is there: what the last `save` gave goes on from it as if there had been no pause.

    Inside an initialised process group of `torch.distributed`, each member trains on its slice of every batch
    and returns the same fit; only rank 0 calls `report` and `save`, and only its `resume` counts. With
    `precision` "bf16" the training steps multiply matrices in bfloat16; weights and validation stay float32. `compiled`
    has torch compile the training steps, which takes a minute and other last bits.

    Raises ValueError for features, labels or a seed that do not fit, for a batch larger than the training part and
    where nothing can be compiled; BadCheckpoint; NonFiniteLoss naming family, epoch, step, events and part of the loss;
    and OutOfMemory naming family, batch and the memory asked for. On a GPU losses are read once per epoch, see `Team`.

    `watched` are features (m, n_features) of other events, which change nothing: their mean loss after every epoch is
    the curve `watched_loss`, beside those of its parts.

    `start` is another fit of the family, whose weights and preprocessing are those before the first step, where else
    they would be drawn and fitted.

    A family with `grow` has no batches: of it `save`, `resume` and `watched` are not used, see `zoo._grown`.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    check(family, features, labels, seed)
    train, validation = split(len(features), config.validation_fraction, seed)
    if not hasattr(family, "grow"):
        check_batch(family, config.batch_size, len(train))
    preprocess = start.preprocess if start else fit_preprocess(config.preprocess, features, train)
    if hasattr(family, "grow"):
        rows = train, validation
        return fit_grown(family, config, features, labels, rows, preprocess, seed, threads, report, until)
    if compiled:
        check_compiler()
    mine = team(device, precision, compiled)
    fit = f"{name_of(family)}, fitted in batches of {config.batch_size} on {device}"
    with torch_threads(threads), torch.random.fork_rng(devices=[]), reproducible(mine.device), named(fit):
        data = placed(features, labels, preprocess, mine.device)
        run = begin(family, config, data, seed, mine)
        if start:
            run.module.load_state_dict(start.module.state_dict())
        if watched is not None:
            unseen = placed(np.asarray(watched), np.ones(len(watched), np.float32), preprocess, mine.device)
            run = dataclasses.replace(run, watched=unseen)
        identity = run.identity(lineage)
        resume = run.team.of_first(resume)
        progress = restore(resume, identity, run.module, run.optimizer) if resume else Progress()
        tell = report if report is not None and run.team.rank == 0 else lambda history: None
        tell(progress.history)
        for _ in _epochs(run, train, validation, progress, until):
            tell(progress.history)
            if save is not None and run.team.rank == 0:
                save(partial(pack, identity, run.module, run.optimizer, progress))
    if progress.best:
        run.module.load_state_dict(progress.best)
    return Fitted(family, config, features.shape[1], run.module.cpu().eval(), preprocess, progress.history, seed)


@dataclass(frozen=True)
class _Run:
    """One fit on its way."""

    family: ModuleType
    config: Any
    module: torch.nn.Module
    objective: Callable
    optimizer: torch.optim.Optimizer
    data: TrainingData
    seed: int
    team: Team
    watched: TrainingData | None = None

    def identity(self, lineage: str) -> dict[str, Any]:
        """What makes the fit, as plain data: a checkpoint is of this and no other."""
        n_events, n_features = self.data.features.shape
        return {
            "family": name_of(self.family), "config": identity(self.family, dataclasses.asdict(self.config)),
            "n_events": n_events, "n_features": n_features, "seed": self.seed, "precision": self.team.precision,
            "lineage": lineage,
        } | ({"compiled": True} if self.team.compiled else {})  # fmt: skip

    def epoch(self, number: int, rows: np.ndarray) -> dict[str, float]:
        """One pass over the training rows in an order of its own; the mean loss while the weights moved."""
        self.module.train()
        curves, precision = Curves(), self.team.precision
        order = self.data.index(rows[permutation(len(rows), self.seed, ORDER, number)])
        batches = cut(order, self.config.batch_size)
        # all at once: between two steps, which sweep the caches, a seed would take a tenth of a small network's step
        states = [state(self.seed, STEP, number, step) for step in range(len(batches))]
        for step, batch in enumerate(batches):
            passed = number - 1 + step / len(batches)
            config = _warmed(self.config, passed)
            _set_rate(self.optimizer, self.config, passed)
            loss = self._loss(self.objective, batch, seeded(states[step]), config, precision)
            if self.team.waits and self.team.any(not is_finite(loss.values)):
                where = f"epoch {number}, step {step + 1} of {len(batches)}"
                raise self._explained(where, batch, states[step], config, precision)
            self.optimizer.zero_grad(set_to_none=True)
            self.team.scaled(loss.mean, loss.share).backward()
            self.optimizer.step()
            curves.add(loss.values, loss.share.n)
        if (step := self._first_bad(curves)) is not None:
            where = f"{name_of(self.family)}, in epoch {number}, step {step + 1} of {len(batches)}"
            raise explain_later(where, batches[step], curves.noted[step][0])
        return curves.means("train_", self.team)

    @torch.no_grad()
    def validate(self, number: int, rows: np.ndarray) -> dict[str, float]:
        """The loss on the validation rows, with the same noise in every epoch, the whole KL term, and float32; and on
        the watched events."""
        of_rows = self._unmoved(number, rows, "validation_")
        if self.watched is None:
            return of_rows
        unseen = dataclasses.replace(self, data=self.watched)
        return of_rows | unseen._unmoved(number, np.arange(len(self.watched.features)), "watched_")

    def _unmoved(self, number: int, rows: np.ndarray, prefix: str) -> dict[str, float]:
        self.module.eval()
        curves, noise = Curves(), generator(self.seed, VALIDATION)
        where, bits = f"the validation of epoch {number}", state(self.seed, VALIDATION)
        batches = cut(self.data.index(rows), BATCH_SIZE)
        for batch in batches:
            loss = self._loss(partial(self.family.loss, self.module), batch, noise, self.config, "float32")
            if self.team.waits and self.team.any(not is_finite(loss.values)):
                raise self._explained(where, batch, bits, self.config, "float32")
            curves.add(loss.values, loss.share.n)
        if (step := self._first_bad(curves)) is not None:
            raise self._explained(where, batches[step], bits, self.config, "float32")
        return curves.means(prefix, self.team)

    def _first_bad(self, curves: Curves) -> int | None:
        """The first batch, from 0, whose loss was not finite on one of the ranks, of those that nobody looked at."""
        if self.team.waits:
            return None
        curves.fetch()
        flags = self.team.sums([float(not is_finite(values)) for values, _ in curves.noted])
        return next((step for step, flag in enumerate(flags) if flag), None)

    def _loss(
        self, objective: Callable, rows: np.ndarray, noise: torch.Generator, config: Any, precision: str
    ) -> "_Loss":
        """The loss of this rank's slice of a batch; its values, where the team does not wait, still on the device."""
        share = self.team.share(len(rows))
        x, label = self.data.batch(rows[share.taken], self.team.device)
        with self.team.computing(share, precision):
            mean, parts = objective(x, label, noise, config)
        values = torch.stack([mean.detach(), *parts.values()])
        if self.team.waits:
            values = values.tolist()  # waits for the device once
        return _Loss(mean, dict(zip(("loss", *parts), values, strict=True)), share)

    @torch.no_grad()
    def _explained(self, where: str, rows: np.ndarray, bits: int, config: Any, precision: str) -> Exception:
        """The error of a batch, from its loss computed once more, whole: every rank finds the same."""

        def values(some: np.ndarray) -> dict[str, float]:
            alone = dataclasses.replace(self, team=dataclasses.replace(self.team, rank=0, size=1, waits=True))
            objective = partial(self.family.loss, self.module)
            return alone._loss(objective, some, seeded(bits), config, precision).values

        return explain(f"{name_of(self.family)}, in {where}", rows, values)


def begin(family: ModuleType, config: Any, data: TrainingData, seed: int, team: Team) -> _Run:
    """The module and optimiser before the first step."""
    generator(seed, INIT)
    module = family.build(config, data.features.shape[1]).to(team.device)
    optimizer = family.optimizer(module.parameters(), config)
    return _Run(family, config, module, team.objective(family, module, config), optimizer, data, seed, team)


def _epochs(
    run: _Run, train: np.ndarray, validation: np.ndarray, progress: Progress, until: int | None
) -> Iterator[None]:
    """Trains epoch by epoch until the fit is finished or paused; yields after each."""
    while not progress.is_over(run.config) and (until is None or len(progress.losses) < until):
        number = len(progress.losses) + 1
        progress.add(run.epoch(number, train) | run.validate(number, validation))
        if getattr(run.config, "keep", "last") == "best":
            progress.note_best(run.module)
        yield


def _warmed(config: Any, epochs: float) -> Any:
    """The config with the weight of the KL term that holds after so many epochs: it rises linearly from 0 to beta."""
    length = getattr(config, "warm_up_epochs", 0)
    return config if epochs >= length else dataclasses.replace(config, beta=config.beta * epochs / length)


def _set_rate(optimizer: torch.optim.Optimizer, config: Any, epochs: float) -> None:
    """The learning rate that holds after so many epochs, where the family has a schedule that moves it."""
    if getattr(config, "schedule", "constant") == "cosine":
        rate = config.learning_rate * (1 + math.cos(math.pi * epochs / config.epochs)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate


@dataclass(frozen=True)
class _Loss:
    """Mean loss per event of a slice with its graph, its value with those of its parts, and the slice."""

    mean: torch.Tensor
    values: dict[str, float | torch.Tensor]
    share: BatchShare
