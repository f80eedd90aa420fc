"""Rounds of trials that a sampler asks for and a pruner gives up. Optuna's, told in the order of the trials.

A round has TOGETHER trials however many workers there are: all are asked for before any of them ends, all that are left
stand at the same rung, and what they say is told in their order. So the same study and seed give the same trials on any
cluster. The study lives in memory and follows from what it is told; whoever wants it elsewhere gets a copy (`Copy`).
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

TOGETHER = 5  # trials per round: they run side by side, however many workers there are
COMPLETE, PRUNED, DIVERGED = "complete", "pruned", "diverged"


class Objective(NamedTuple):
    """What an evaluation says: `intermediate` at an early rung, `value` at the last; neither where a fit diverged."""

    intermediate: float | None
    value: float | None


class Range(Protocol):
    """What a dimension of the search has: `ends` or `choices`, `log` for a logarithmic axis."""

    ends: tuple[float, float] | None
    log: object
    choices: tuple | None


class HasSpace(Protocol):
    """A field of the search; `value(drawn)` is how it is used."""

    key: str
    space: Range
    whole: bool

    def value(self, drawn: Any) -> Any:
        """The field's value for what was drawn from `space`."""


@dataclass
class Trial:
    """A trial: its values by field, how it ended, and what it said at each rung."""

    number: int
    values: dict[str, Any]
    state: str = ""
    value: float | None = None
    reports: list[float] = field(default_factory=list)

    @property
    def last_rung(self) -> int:
        """Where it ended: one behind its reports, unless it was given up for the last of them."""
        return len(self.reports) - (self.state == PRUNED)


class Copy:
    """Where a search is copied to as it goes on; this one keeps nothing."""

    def begun(self, trial: Trial, drawn: dict[str, Any]) -> None:
        """A trial begins; drawn: its values as distributions have them."""

    def reported(self, trial: Trial, step: int) -> None:
        """A trial has a new report, the last of its list."""

    def ended(self, trial: Trial) -> None:
        """A trial has its state."""


@dataclass(frozen=True)
class Rules:
    """How a search goes: trials, seed, whether large is good, the rungs of a trial, and what prunes (None: nothing)."""

    trials: int
    seed: int
    larger_is_better: bool
    rungs: int = 1
    pruner: str | None = None
    startup_trials: int = 5
    reduction_factor: int = 3

    @property
    def direction(self) -> str:
        """Optuna's word."""
        return "maximize" if self.larger_is_better else "minimize"

    def make_pruner(self) -> optuna.pruners.BasePruner:
        """Rung k is told at step reduction_factor^k, which is where successive halving looks."""
        if self.pruner == "median":
            return optuna.pruners.MedianPruner(n_startup_trials=self.startup_trials)
        if self.pruner == "halving":
            return optuna.pruners.SuccessiveHalvingPruner(1, self.reduction_factor)
        return optuna.pruners.NopPruner()


Evaluate = Callable[[list[dict[str, Any]], int], list[Objective]]


class Search:
    """One pass over all trials."""

    def __init__(self, evaluate: Evaluate, dimensions: tuple[HasSpace, ...], first: list[dict[str, Any]],
                 rules: Rules, copy: Copy | None = None):  # fmt: skip
        """`evaluate(values of several trials, rung)`; first: what the first trials have, where it fits, all of them in
        one round."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.evaluate, self.dimensions, self.rules, self.copy = evaluate, dimensions, rules, copy or Copy()
        # trials under way count as bad ones, so that those of a round do not crowd (Optuna's constant liar)
        sampler = optuna.samplers.TPESampler(seed=rules.seed, constant_liar=True)
        self.study = optuna.create_study(direction=rules.direction, sampler=sampler, pruner=rules.make_pruner())
        self.axes = {dimension.key: distribution(dimension) for dimension in dimensions}
        self.first = [{d.key: values[d.key] for d in dimensions if _fits(d, values[d.key])} for values in first]
        for values in self.first:
            self.study.enqueue_trial({d.key: drawn(d, values[d.key]) for d in dimensions if d.key in values})

    def run(self) -> list[Trial]:
        """All trials by number."""
        done: list[Trial] = []
        while (start := len(done)) < self.rules.trials:
            end = min(max(start + TOGETHER, len(self.first)), self.rules.trials)
            pairs = [self._ask(number) for number in range(start, end)]
            self._round(pairs)
            done += [trial for trial, _ in pairs]
        return done

    def _ask(self, number: int) -> tuple[Trial, optuna.Trial]:
        suggested = self.study.ask(self.axes)
        values = {d.key: d.value(_plain(d, suggested.params[d.key])) for d in self.dimensions}
        trial = Trial(number, values | (self.first[number] if number < len(self.first) else {}))
        self.copy.begun(trial, suggested.params | {d.key: drawn(d, trial.values[d.key]) for d in self.dimensions})
        return trial, suggested

    def _round(self, pairs: list[tuple[Trial, optuna.Trial]]) -> None:
        for rung in range(self.rules.rungs):
            if not pairs:
                return
            going, evaluated = [], self.evaluate([trial.values for trial, _ in pairs], rung)
            for (trial, suggested), objective in zip(pairs, evaluated, strict=True):
                if objective.intermediate is None:
                    self._end(trial, suggested, objective.value)
                else:
                    self._report(trial, suggested, objective.intermediate, self.rules.reduction_factor**rung)
                    going.append((trial, suggested))
            pairs = [(trial, suggested) for trial, suggested in going if not self._is_pruned(trial, suggested)]

    def _report(self, trial: Trial, suggested: optuna.Trial, report: float, step: int) -> None:
        trial.reports.append(report)
        suggested.report(report, step)
        self.copy.reported(trial, step)

    def _end(self, trial: Trial, suggested: optuna.Trial, value: float | None) -> None:
        trial.state, trial.value = DIVERGED if value is None else COMPLETE, value
        # a fit that diverged is as bad as can be: failed trials would be forgotten, and asked for again
        self.study.tell(suggested, self.worst if value is None else value)
        self.copy.ended(trial)

    @property
    def worst(self) -> float:
        """What no trial can be below."""
        return -math.inf if self.rules.larger_is_better else math.inf

    def _is_pruned(self, trial: Trial, suggested: optuna.Trial) -> bool:
        if not suggested.should_prune():
            return False
        trial.state = PRUNED
        self.study.tell(suggested, state=TrialState.PRUNED)
        self.copy.ended(trial)
        return True


def distribution(dimension: HasSpace) -> BaseDistribution:
    """The distribution of a dimension; choices are JSON, since a storage takes words and no lists."""
    space = dimension.space
    if space.choices:
        return CategoricalDistribution([json.dumps(choice) for choice in space.choices])
    low, high = space.ends
    if dimension.whole:
        return IntDistribution(int(low), int(high), log=space.log is not None)
    return FloatDistribution(low, high, log=space.log is not None)


def drawn(dimension: HasSpace, value: Any) -> Any:
    """A value as the distribution has it."""
    return json.dumps(value) if dimension.space.choices else value


def _plain(dimension: HasSpace, value: Any) -> Any:
    return json.loads(value) if dimension.space.choices else value


def _fits(dimension: HasSpace, value: Any) -> bool:
    space = dimension.space
    if space.choices:
        return json.dumps(value) in [json.dumps(choice) for choice in space.choices]
    return space.ends[0] <= value <= space.ends[1]
