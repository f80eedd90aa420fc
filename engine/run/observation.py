"""A list of observed events under the frozen models of a finished scan; blinded until it is told otherwise.

Blinded, nothing follows from an event in the signal region, beyond the line that 30 % of nuclear recoils stay below in
(cS1, cS2): events outside are counted and the fit of the background model is judged there. To unblind writes a record
first: of the same data under other settings these are the trial factor of the analyst.
"""

import time
import uuid
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

import zoo
from engine import lineage, plugins
from engine.assembly.fits import blob, fitted
from engine.assembly.population import benchmark_weights, choices, toys
from engine.errors import BadInput, listed
from engine.inference import cells, goodness, observed
from engine.inference.cells import BackgroundToys, Choice
from engine.inference.exact import Distribution
from engine.inference.goodness import GoodnessOfFit
from engine.inference.hypothesis import Scored, columns_of
from engine.inference.observed import Local
from engine.inference.population import Population
from engine.inference.teststats import has_toys
from engine.physics import event_list, events, selection
from engine.physics.event_list import EventList
from engine.plan.plan import Plan
from engine.run.pipeline import Outcome
from engine.store import sealed
from engine.store.store import Store
from engine.study import Study

FOLDER, RECORDS = "observed", "unblinded"
VERSION = 1  # rises when what is said of a list changes


@dataclass(frozen=True)
class Unblinding:
    """That data were looked at: when, which, and by what. `setting`: of everything that a p follows from."""

    time: str
    data: str
    setting: str
    study: str
    pool: str
    models: dict[str, str]


@dataclass(frozen=True)
class Observation:
    """Selected events of a list and what a finished scan says of them; not_applied: cuts on what the list has not."""

    outcome: Outcome
    exposure_ty: float
    events: EventList
    not_applied: tuple[str, ...]

    @property
    def plan(self) -> Plan:
        """Of the scan."""
        return self.outcome.plan

    @property
    def population(self) -> Population:
        """Of the scan."""
        return self.outcome.population

    @cached_property
    def setting(self) -> str:
        """The digest of everything that the p of these data follow from."""
        plan = self.plan
        null = [item for pair in plan.by_toys for item in plan.null_items(self.exposure_ty, "null", *pair)]
        return lineage.digest(FOLDER, VERSION, {"content": self.events.content, "score": plan.score}, null)

    @cached_property
    def terms(self) -> dict[str, dict[str, np.ndarray]]:
        """(n,) per-event terms of the frozen models, by role."""
        return {role: self._of_model(role) for role in self.plan.fitted}

    def _of_model(self, role: str) -> dict[str, np.ndarray]:
        view = plugins.load("engine.physics.representations", self.plan.view(role))
        features = view.features(self.events.readout, self.plan.study.detector.constants)
        return zoo.terms(fitted(self.plan, role, blob(self.plan, self.outcome.ledger, role)), features)

    @cached_property
    def seen(self) -> dict[float | None, Scored]:
        """The events as statistics see them, by R; under None those without a score. Raises BadInput."""
        n, areas = len(self.events), [self.events.columns[name] for name in ("cs1_pe", "cs2_pe")]
        ts = {None: np.zeros(n)} | {R: self.plan.ts(self.terms, R) for R in self.plan.study.score.R}
        for R, score in ts.items():
            if (bad := ~np.isfinite(score)).any():
                raise BadInput(f"row {self.events.row[np.argmax(bad)]} has no finite score at R = {R:g}")
        of_models = columns_of(self.terms)
        return {R: Scored(score, np.zeros(n, np.int8), *areas, of_models) for R, score in ts.items()}

    @cached_property
    def _regions(self) -> tuple[np.ndarray, np.ndarray]:
        return observed.in_region(self.population, *(self.events.columns[name] for name in ("cs1_pe", "cs2_pe")))

    @property
    def inside(self) -> np.ndarray:
        """(n,) whether an event is in the signal region."""
        return self._regions[0]

    @cached_property
    def outside(self) -> Population:
        """The population outside the signal region."""
        return self.population.only(~self._regions[1])

    @cached_property
    def fits(self) -> list[GoodnessOfFit]:
        """The fit of the background model outside the signal region."""
        seen = {R: events[~self.inside] for R, events in self.seen.items()}
        return goodness.fits(self.outside, self.exposure_ty, seen, self.plan.study.toys.null)

    @property
    def fits_well(self) -> bool:
        """Whether p of these data may be trusted."""
        return min(fit.p for fit in self.fits) >= goodness.UNFIT

    @cached_property
    def fits_inside_too(self) -> list[GoodnessOfFit]:
        """The same with the signal region, where a signal makes it worse: for who has unblinded."""
        return goodness.fits(self.population, self.exposure_ty, self.seen, self.plan.study.toys.null)

    @cached_property
    def judged(self) -> tuple[list[Local], Local]:
        """p of every statistic of the plan that toys serve, and the global one: for who has unblinded."""
        plan, chosen = self.plan, choices(self.plan, self.plan.by_toys)
        laws = [partial(self._law, choice) if pair in plan.exactly else None
                for choice, pair in zip(chosen, plan.by_toys, strict=True)]  # fmt: skip
        return observed.judged(self._prepared, self._toys("null"), [self.seen[choice.R] for choice in chosen], laws)

    @cached_property
    def _prepared(self) -> list:
        return cells.prepare(self.population, self.exposure_ty, choices(self.plan, self.plan.by_toys))

    @cached_property
    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """q of these events (statistics,) and of null toys (toys, statistics): for who has unblinded."""
        events = [self.seen[R] for R, _ in self.plan.by_toys]
        return observed.values(self._prepared, self._toys("null"), events)

    def _law(self, choice: Choice) -> Distribution:
        return choice.laws(self.population.null(choice.R, self.exposure_ty)).background

    def rarity(self, R: float) -> tuple[np.ndarray, np.ndarray]:
        """(n,) background events expected at or above each event's score, and their error: for who has unblinded."""
        return observed.expected_above(self.population, self.exposure_ty, R, self.seen[R].ts)

    def powers(self) -> dict[tuple[float | None, str], float]:
        """How often a signal at the benchmark would reach three sigma, by R and statistic; it looks at no data."""
        return {pair: observed.power(q_null, q) for pair, (q_null, q) in self.at_benchmark.items()}

    @cached_property
    def at_benchmark(self) -> dict[tuple[float | None, str], tuple[np.ndarray, np.ndarray]]:
        """q of null toys and of those with the benchmark's signal, by R and statistic; it looks at no data."""
        plan, null = self.plan, self._toys("null")
        weights, key = benchmark_weights(plan, self.population), plan.study.benchmark_signal.key
        toys_of = null, self._toys("background")
        samples = cells.q_values(
            self.population, weights, key, np.ones(1), self.exposure_ty, choices(plan, plan.by_toys), *toys_of
        )
        return {pair: (q_null, q[:, 0]) for pair, (q_null, q) in zip(plan.by_toys, samples, strict=True)}

    def _toys(self, hypothesis: str) -> list[BackgroundToys]:
        return toys(self.plan, self.outcome.ledger, self.exposure_ty, hypothesis)

    def unblind(self, store: Store, name: str, joint: str | None = None) -> int:
        """Writes to the store that these data are looked at; returns under how many settings they were before.

        joint: the setting of a search in several lists, of which this is one: to look once more, of which the store
        keeps a second record. A record that cannot be read counts as one.
        """
        settings = (self.setting, joint) if joint else (self.setting,)
        return looked(store, self.events, settings, name, self.plan.scored_pool, self.plan.models)


def looked(
    store: Store, seen: EventList, settings: tuple[str, ...], name: str, pool: str = "",
    models: dict[str, str] | None = None,
) -> int:  # fmt: skip
    """Writes to the store that a list's events are looked at by these settings of a study; returns under how many
    others they were before. A record that cannot be read counts as one."""
    folder, now = f"{FOLDER}/{RECORDS}/{seen.data}", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    before = [store.kept(path, Unblinding) for path in store.list(folder)]
    others = {record.setting for record in before if record} - {*settings}
    for setting in settings:
        record = Unblinding(now, seen.data, setting, name, pool, models or {})
        store.put_new(f"{folder}/{time.time_ns()}-{uuid.uuid4().hex[:8]}.json", sealed.dumped(record))
    return len(others) + before.count(None)


def exposure_of(study: Study) -> float:
    """The exposure of a study's list of events; raises BadInput where it is not said, or no scan would have it."""
    points, asked = study.grid.exposure_ty.points(), study.data.exposure_ty
    words = listed([f"{point:g}" for point in points])
    if asked is None and len(points) > 1:
        raise BadInput(f"[data] exposure_ty is not given, and the grid has several ({words})")
    if asked is not None and asked not in points:
        raise BadInput(f"[data] exposure_ty = {asked:g} is not in grid.exposure_ty ({words}), so that no scan has it; "
                       f"try --set grid.exposure_ty={asked:g}")  # fmt: skip
    return points[0] if asked is None else asked


def read(study: Study, path: str | Path) -> EventList:
    """The events of a file as a study's models want them; raises BadInput for what they cannot be of."""
    if study.compare:
        raise BadInput("observe takes one study; this one compares pairs of models")
    if not any(has_toys(study.toys.statistic(name)[0]) for name in study.toys.statistics):
        raise BadInput(f"no toys serve {listed(list(study.toys.statistics))}: toys.statistics needs another, such as "
                       "'excess_scan', for a p of a list")  # fmt: skip
    needed = {}
    for place, model in study.all_fitted.items():
        view = plugins.load("engine.physics.representations", study.view(model))
        if not hasattr(view, "COLUMNS"):
            raise BadInput(f"{place} reads {study.view(model)!r}, which does not say by COLUMNS what of a list of "
                           "events it is made of; those that ship do")  # fmt: skip
        needed |= dict.fromkeys(view.COLUMNS)
    return _listed(study, path, tuple(needed))


def _listed(study: Study, path: str | Path, needed: tuple[str, ...] = ()) -> EventList:
    er, nr = (study.backgrounds.windows(kind) for kind in ("ER", "NR"))
    if er != nr:
        raise BadInput(f"an event has no kind, and electron recoils are selected by {_windows(er)} where nuclear ones "
                       f"are by {_windows(nr)}: backgrounds.nr_window = 'ces' selects them alike")  # fmt: skip
    detector = study.detector
    return event_list.read(path, detector.constants, detector.s2_array, study.data.columns, needed)


def selected_of(study: Study, path: str | Path) -> EventList:
    """The selected events of a file, whatever models of the study read; raises BadInput where there are none."""
    return _kept(study, _listed(study, path))


def _windows(windows: dict[str, tuple[float, float]]) -> str:
    return ", ".join(f"{name} in {list(ends)}" for name, ends in windows.items()) or "nothing"


def _applied(study: Study, seen: EventList) -> dict[str, tuple[float, float]]:
    """The study's windows in what the list has."""
    windows = study.backgrounds.windows("ER")
    return {name: ends for name, ends in windows.items() if name.replace("_phd", "_pe") in seen.columns}


def selected(study: Study, seen: EventList) -> np.ndarray:
    """(n,) whether an event passes the study's selection, as far as the list tells."""
    columns = seen.columns | {"registered": np.ones(len(seen), bool)}
    return selection.passes(columns, _applied(study, seen), events.mean_charge(study.detector.constants))


def _kept(study: Study, seen: EventList) -> EventList:
    if not (kept := selected(study, seen)).any():
        raise BadInput(f"none of the list's {len(kept)} events is in the study's selection, "
                       f"{_windows(_applied(study, seen))}")  # fmt: skip
    return seen.only(kept)


def observation(outcome: Outcome, seen: EventList, exposure_ty: float) -> Observation:
    """The selected events of a list under a finished scan; raises BadInput where there are none."""
    study = outcome.plan.study
    kept = _kept(study, seen)
    not_applied = study.backgrounds.windows("ER").keys() - _applied(study, seen).keys()
    return Observation(outcome, exposure_ty, kept, tuple(sorted(not_applied)))
