"""The background-only hypothesis as a test statistic sees it: events with a score, and how many are expected."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engine.inference import profile
from engine.inference.density import Density
from engine.inference.leakage import KNOWN, LeakagePrior
from engine.inference.pools import effective_size


@dataclass(frozen=True)
class Scored:
    """Selected events, one entry each: score, kind (place in the pool's kinds), corrected charges; terms: of the
    models (events, k), see `columns_of`; None where there are no models."""

    ts: np.ndarray
    kind: np.ndarray
    cs1_pe: np.ndarray
    cs2_pe: np.ndarray
    terms: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ts)

    def __getitem__(self, chosen: np.ndarray) -> "Scored":
        return Scored(*(None if values is None else values[chosen] for values in vars(self).values()))


def columns_of(terms: dict[str, dict[str, np.ndarray]]) -> np.ndarray | None:
    """(events, k) the models' terms side by side, by role and name in the order of the alphabet; None without any."""
    columns = [of_role[name] for _, of_role in sorted(terms.items()) for name in sorted(of_role)]
    return np.column_stack(columns) if columns else None


@dataclass(frozen=True)
class Law:
    """What the events of an experiment are drawn from.

    weights (components, events): expected events that each event stands for, so that a row sums to its
    component's expected number; relative_sd (components,): 1 sigma of its rate, 0 where it is known; leaks (events,):
    which are electron recoils beyond the line of nuclear ones (`engine.inference.leakage`), None where none is known.
    """

    names: tuple[str, ...]
    events: Scored
    weights: np.ndarray
    relative_sd: np.ndarray
    leaks: np.ndarray | None = None

    @cached_property
    def n_expected(self) -> float:
        """Expected number of events of an experiment."""
        return float(self.weights.sum())

    @cached_property
    def total(self) -> np.ndarray:
        """(events,) expected events that each stands for, all components together."""
        return self.weights.sum(axis=0)

    @cached_property
    def grouped(self) -> "Law":
        """The law with a row for each rate that is drawn: components that share a nuisance move together."""
        groups = profile.nuisances(self.names, self.relative_sd)
        return replace(self, names=groups.names, weights=groups.member @ self.weights, relative_sd=groups.relative_sd)

    @property
    def n_leaking(self) -> float:
        """Expected events that leak."""
        return 0.0 if self.leaks is None else float(self.weights[:, self.leaks].sum())

    @property
    def leaking_precision(self) -> float:
        """n^2 / variance of what leaks: of uncertain rates besides, less than n."""
        if self.leaks is None or not self.n_leaking > 0:
            return 0.0
        law = self.grouped
        spread = law.weights[:, self.leaks].sum(axis=1) * law.relative_sd
        return self.n_leaking**2 / (self.n_leaking + float(spread @ spread))

    def split(self) -> tuple["Law", np.ndarray, np.ndarray]:
        """The law with what leaks in rows of its own behind the others; (rows,) which row each is a part of, and
        whether it is what leaks. A part without an event, which cannot be drawn, has no row."""
        leaking = self.weights * self.leaks
        parts = np.vstack([self.weights - leaking, leaking])
        kept = parts.any(axis=1)
        row, leaked = np.tile(np.arange(len(self.names)), 2)[kept], np.repeat([False, True], len(self.names))[kept]
        words = {False: "", True: ", leaked"}
        names = tuple(self.names[i] + words[bool(part)] for i, part in zip(row, leaked, strict=True))
        return replace(self, names=names, weights=parts[kept], relative_sd=self.relative_sd[row]), row, leaked

    def leaking(self, factor: float) -> "Law":
        """The law with `factor` times as many of the events that leak."""
        if self.leaks is None or factor == 1:
            return self
        return replace(self, weights=self.weights * np.where(self.leaks, factor, 1.0))


@dataclass(frozen=True)
class Null:
    """Background only, for one score at one exposure.

    f0, thresholds, bins and templates are made from `reference`, one half of the pool; toys draw from `drawn`,
    the other. `f0` is None for a statistic that does not look at the score. `stated` is the B that a statistic is made
    with where toys are drawn from another law than the one it was made for (default: what is drawn). `leakage`: how
    well the number of events that leak is known.
    """

    exposure_ty: float
    f0: Density | None
    reference: Law
    drawn: Law
    stated: float | None = None
    leakage: LeakagePrior = KNOWN

    @property
    def n_background(self) -> float:
        """B, as a statistic takes it: expected selected background events."""
        return self.drawn.n_expected if self.stated is None else self.stated

    def effective_above(self, chosen: np.ndarray) -> tuple[tuple[float, float], ...]:
        """Per kind the effective number of the drawn events that are `chosen`, and the weight of each.

        A kind without such an event has 0 of them, of the mean weight of its events.
        """
        kinds = range(int(self.drawn.events.kind.max()) + 1)
        return tuple(self._effective(chosen, self.drawn.events.kind == kind) for kind in kinds)

    def _effective(self, chosen: np.ndarray, mine: np.ndarray) -> tuple[float, float]:
        expected = self.drawn.total
        w = expected[chosen & mine]
        if w.sum() > 0:
            return effective_size(w), float(np.square(w).sum() / w.sum())
        return 0.0, float(expected[mine].mean()) if mine.any() else 0.0
