"""The scored pool with its weights under every background: what all toys and statistics start from."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from engine.errors import BadInput
from engine.inference import density, leakage
from engine.inference.hypothesis import Law, Null, Scored, columns_of
from engine.inference.leakage import KNOWN, LeakagePrior
from engine.inference.pools import DENSITY_HALF, TOY_HALF, Pool, effective_size

KEPT_BYTES = 2**26  # of the weights of all pools without a group, which take some three times as much with their laws


@dataclass(frozen=True)
class Background:
    """A background component: its kind, rate (energy_keV -> 1 / (t y keV)) and relative uncertainty."""

    name: str
    kind: str
    rate: Callable
    relative_uncertainty: float


@dataclass(frozen=True)
class Population:
    """Scored pool and background rates, ready for toys: made once per scan, shared by all tasks.

    ts[R]: scores of all pool events; weights (components, pool): selected events per t y; leaks (pool,): electron
    recoils beyond the line of nuclear ones; leakage: how well their number is known; er_kinds: the pool's kinds that
    are electron recoils, of betas and gammas and of components with events of their own, as captures of 124Xe.
    """

    pool: Pool
    ts: dict[float, np.ndarray]
    f0: dict[float, density.Density]
    names: tuple[str, ...]
    weights: np.ndarray
    relative_uncertainty: np.ndarray
    bandwidth: float
    relative_floor: float
    stream_key: tuple
    leaks: np.ndarray
    leakage: LeakagePrior = KNOWN
    er_kinds: tuple[str, ...] = ("ER",)
    # made as they are asked for, of this population alone, and not pickled: laws of one exposure, by half and R; of
    # either half what all exposures share; this with one score, by R; and this without a group of its pool
    _laws: dict = field(default_factory=dict, init=False, compare=False, repr=False)
    _halves: dict = field(default_factory=dict, init=False, compare=False, repr=False)
    _nominal: dict = field(default_factory=dict, init=False, compare=False, repr=False)
    _fewer: dict = field(default_factory=dict, init=False, compare=False, repr=False)

    def __getstate__(self) -> dict:
        return vars(self) | {"_laws": {}, "_halves": {}, "_nominal": {}, "_fewer": {}}

    def n_background(self, exposure_ty: float) -> float:
        """B: expected selected background events."""
        return float(self.weights.sum() * exposure_ty)

    @property
    def er_leakage(self) -> float:
        """Share of the selected electron recoils that leak."""
        return self._leaking(self.er_kinds)

    def _leaking(self, kinds: tuple[str, ...]) -> float:
        recoils, of_each = self.pool.of_kinds(kinds), self.weights.sum(axis=0)
        return float(of_each[self.leaks & recoils].sum() / of_each[recoils].sum())

    def effective_events(self) -> dict[str, float]:
        """Effective number of pool events behind each component: what its spectrum makes of the proposal."""
        return {name: effective_size(weights) for name, weights in zip(self.names, self.weights, strict=True)}

    def null(self, R: float | None, exposure_ty: float) -> Null:
        """Background only at this exposure, for the score with this R, or for none."""
        reference, drawn = (self._law(R, exposure_ty, half) for half in (DENSITY_HALF, TOY_HALF))
        return Null(exposure_ty, None if R is None else self.f0[R], reference, drawn, leakage=self.leakage)

    def signal(self, weights: np.ndarray) -> np.ndarray:
        """Signal weights (pool,) as weights of the drawn half alone, with the same sum."""
        half = weights[self.pool.half == TOY_HALF]
        return half * (weights.sum() / half.sum()) if half.sum() > 0 else half

    def nominal(self, R: float | None) -> "Population":
        """This population with one score, or none, and its leakage known: what a jack-knife is made of. The one that
        was asked for last is kept."""
        if R not in self._nominal:
            self._nominal.clear()
            self._nominal[R] = replace(self, ts={} if R is None else {R: self.ts[R]}, leakage=KNOWN)
        return self._nominal[R]

    def without(self, group: int, groups: int) -> "Population":
        """The population of a pool that lacks one of its groups (`Pool.groups`): for a jack-knife. They are kept where
        all of them find room: laws of other points, statistics and exposures ask for the same."""
        if groups * self.weights.nbytes > KEPT_BYTES:
            return self._without(group, groups)
        if (group, groups) not in self._fewer:
            if any(known != groups for _, known in self._fewer):
                self._fewer.clear()
            self._fewer[group, groups] = self._without(group, groups)
        return self._fewer[group, groups]

    def _without(self, group: int, groups: int) -> "Population":
        kept = self.pool.groups(groups) != group
        fewer = self.pool.only(kept)
        weights = self.weights[:, kept] * (groups / (groups - 1))
        ts = {R: score[kept] for R, score in self.ts.items()}
        f0 = _densities(ts, fewer, weights, self.bandwidth, self.relative_floor)
        return replace(self, pool=fewer, ts=ts, f0=f0, weights=weights, leaks=self.leaks[kept])

    def only(self, kept: np.ndarray) -> "Population":
        """The population of these events of its pool alone, (pool,) bool; f0 stays what it is."""
        ts = {R: score[kept] for R, score in self.ts.items()}
        fewer = {"pool": self.pool.only(kept), "weights": self.weights[:, kept], "leaks": self.leaks[kept]}
        return replace(self, ts=ts, **fewer)

    def knowing(self, factor: float, calibration_events: float | None) -> "Population":
        """This population, its leakage known to a log-normal factor or from so many calibration electron recoils.

        A calibration is by betas: of captures of 124Xe it has none. Raises BadInput where none of the pool's leaks, so
        that its posterior cannot be told.
        """
        if calibration_events is None:
            return replace(self, leakage=LeakagePrior(factor))
        if not (share := self._leaking(("ER",))) > 0:
            n_er = np.count_nonzero(self.pool.of_kinds(("ER",)))
            raise BadInput(f"backgrounds.leakage.calibration_events = {calibration_events:g}: none of the pool's "
                           f"{n_er} electron recoils leaks; raise pool.er_events")  # fmt: skip
        return replace(self, leakage=LeakagePrior(leaked=calibration_events * share))

    def with_scores(self, ts: dict[float, np.ndarray]) -> "Population":
        """This population with other scores, by R (pool,), and their f0; raises BadInput where one is not finite."""
        _check_finite(ts)
        f0 = _densities(ts, self.pool, self.weights, self.bandwidth, self.relative_floor)
        other = replace(self, ts=ts, f0=f0)
        for half, known in self._halves.items():
            other._halves[half] = replace(known, events={None: known.events[None]})
        other._laws.update({place: {None: known[None]} for place, known in self._laws.items()})
        return other

    def _law(self, R: float | None, exposure_ty: float, half: int) -> Law:
        if (exposure_ty, half) not in self._laws:
            if any(known != exposure_ty for known, _ in self._laws):  # a law for every exposure would fill the memory
                self._laws.clear()
            self._laws[exposure_ty, half] = {None: self._unscored_law(exposure_ty, half)}
        known = self._laws[exposure_ty, half]
        if R not in known:
            law, events = known[None], self._halves[half].events
            if R not in events:  # the same arrays at every exposure, by which what is made of them is known again
                events[R] = replace(events[None], ts=self.ts[R][self._halves[half].chosen])
            self._laws[exposure_ty, half] = known = {None: law, R: replace(law, events=events[R])}  # the last score's
        return known[R]

    def _unscored_law(self, exposure_ty: float, half: int) -> Law:
        if half not in self._halves:
            self._halves[half] = self._half(half)
        shared = self._halves[half]
        weights = np.empty((len(shared.kept), np.count_nonzero(shared.chosen)))  # the largest array of a task
        for row, component, total, total_of_half in zip(weights, shared.kept, *shared.totals, strict=True):
            np.compress(shared.chosen, self.weights[component], out=row)
            row *= total * exposure_ty / total_of_half
        names = tuple(self.names[i] for i in shared.kept)
        return Law(names, shared.events[None], weights, self.relative_uncertainty[shared.kept], shared.leaks)

    def _half(self, half: int) -> "_Half":
        chosen, pool = self.pool.half == half, self.pool
        kept = np.flatnonzero([row[chosen].any() for row in self.weights])  # what has no event cannot be drawn
        totals = np.array([(self.weights[i].sum(), self.weights[i, chosen].sum()) for i in kept]).reshape(-1, 2).T
        events = Scored(np.zeros(len(pool.kind)), pool.kind, pool.cs1_pe, pool.cs2_pe, columns_of(pool.terms))[chosen]
        return _Half(chosen, kept, totals, {None: events}, self.leaks[chosen])


@dataclass(frozen=True)
class _Half:
    """Half of a pool: which events it has (pool,), the components that have any there, their totals of all events and
    of these, (2, kept), the events by R, and which of them leak."""

    chosen: np.ndarray
    kept: np.ndarray
    totals: np.ndarray
    events: dict[float | None, Scored]
    leaks: np.ndarray


def populate(
    pool: Pool,
    ts: dict[float, np.ndarray],
    backgrounds: list[Background],
    *,
    idealised: bool,
    bandwidth: float,
    relative_floor: float,
    stream_key: tuple,
    leakage_factor: float = 1.0,
    calibration_events: float | None = None,
    er_kinds: tuple[str, ...] = ("ER",),
) -> Population:
    """Weights of every component, and f0 for every score from the density half of the pool.

    The leakage is known to a factor, or from so many calibration electron recoils. Raises BadInput where one half of
    the pool has no background event, where a score is not finite, or where no event of the pool says what leaks.
    """
    weights = np.empty((len(backgrounds), len(pool.kind)))  # filled in place: by far the largest array of a scan
    for row, background in zip(weights, backgrounds, strict=True):
        row[:] = pool.weights(background.kind, background.rate)
    half, of_all = pool.half == DENSITY_HALF, weights.sum(axis=0)
    if not (of_all[half].sum() > 0 and of_all[~half].sum() > 0):
        raise BadInput(f"of {pool.n_thrown.tolist()} ER and NR events thrown for the pool too few pass the selection; "
                       "raise pool.er_events or widen the window")  # fmt: skip
    _check_finite(ts)
    f0 = _densities(ts, pool, weights, bandwidth, relative_floor)
    uncertainty = np.array([0.0 if idealised else b.relative_uncertainty for b in backgrounds])
    names = tuple(b.name for b in backgrounds)
    leaks = leakage.beyond(pool.cs1_pe, pool.cs2_pe, pool.of_kinds(("NR",)), pool.of_kinds(er_kinds))
    made = Population(
        pool, ts, f0, names, weights, uncertainty, bandwidth, relative_floor, stream_key, leaks, er_kinds=er_kinds
    )
    return made.knowing(leakage_factor, calibration_events)


def _check_finite(ts: dict[float, np.ndarray]) -> None:
    for R, score in ts.items():
        if bad := np.count_nonzero(~np.isfinite(score)):
            raise BadInput(f"{bad} of {len(score)} pool events have no finite score at R = {R:g}; "
                           "the fitted models cannot be used")  # fmt: skip


def _densities(ts: dict, pool: Pool, weights: np.ndarray, bandwidth: float, relative_floor: float) -> dict:
    half = pool.half == DENSITY_HALF
    mine, options = weights[:, half], {"bandwidth": bandwidth, "relative_floor": relative_floor}
    return {R: density.estimate(score[half], mine, **options) for R, score in ts.items()}
