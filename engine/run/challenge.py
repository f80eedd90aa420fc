"""A challenge: blinded search lists with or without a hidden signal, what a search may learn from, and a sealed answer.

The folder has simulated training and background events with their truth, calibration lists, and search lists that
differ in nothing but what was drawn. What is hidden follows from a seed; the folder has the SHA-256 of the answer, and
of every search list, so that neither can be changed after the fact.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine import lineage, plugins
from engine.errors import BadInput
from engine.inference.pools import KINDS
from engine.inference.toys import rate_factors
from engine.physics import event_rows
from engine.physics.event_pulses import MADE_OF
from engine.plan.event_plan import SHARD
from engine.run import drawn
from engine.run.drawn import Columns, EventSource
from engine.store import sealed
from engine.study import Study

KNOWN = "challenge.json"  # in the folder: what may be known
STREAM = "challenge"  # first word of the keys of its random streams
WITH_SIGNAL = 0.5  # of the search lists, each by its own coin
FACTOR = (0.5, 2.0)  # log-uniform: hidden events expected, over those of the benchmark
LIST = ("cs1_pe", "cs2_pe", "drift_us", "s1_pe", "s2_pe", "x_cm", "y_cm")  # what a list has of every event
MOST_EVENTS = 500_000  # of a list
DIGITS = 6  # significant ones of a list's numbers


@dataclass(frozen=True)
class Hidden:
    """What a search list holds: `n_signal` events, of `n_expected`, of a signal at a mass (None without); 0 and no
    mass where it has none."""

    name: str
    n_events: int
    n_signal: int
    n_expected: float
    m_chi_GeV: float | None

    @property
    def has_signal(self) -> bool:
        """Whether a signal was hidden, though by chance none of its events."""
        return self.n_expected > 0


@dataclass(frozen=True)
class Answer:
    """All that is hidden; seed: in hexadecimal digits."""

    seed: str
    lists: list[Hidden]


@dataclass(frozen=True)
class Challenge:
    """What may be known: SHA-256 of the answer's file, and of every search list by its file's name."""

    answer_sha256: str
    lists: dict[str, str]


@dataclass(frozen=True)
class ExpectedRate:
    """Selected events of a component that a search list expects, and the 1 sigma of that, as a fraction."""

    name: str
    kind: str
    expected: float
    relative_uncertainty: float


def pulses_of(study: Study) -> tuple[str, ...]:
    """The pulses that the study's models look at, fields of a `Readout`."""
    views = {study.view(model) for model in study.all_fitted.values()}
    seen = [name for view in sorted(views)
            for name in getattr(plugins.load("engine.physics.representations", view), "COLUMNS", ())]  # fmt: skip
    asked = {column for name in seen for column in MADE_OF.get(name, ())}
    return tuple(field for field, made_of in MADE_OF.items() if asked & {*made_of})


def make(study: Study, folder: Path, answer: Path, exposure_ty: float, n_lists: int, seed: int) -> list[ExpectedRate]:
    """Writes a folder, which is new or empty, and the answer; returns what a list expects of each background.

    Raises BadInput, before anything is written, for what cannot be a list.
    """
    sources = [drawn.of_component(study, name) for name in study.backgrounds.components]
    pulses = pulses_of(study)
    # of a component of which few are selected, by as few: it adds next to nothing
    per_ty = [source.per_ty * drawn.pilot(study, source) / drawn.PILOT for source in sources]
    uncertainty = [study.backgrounds.relative_uncertainty(source.name) for source in sources]
    masses = _masses(study)
    of_benchmark = exposure_ty * drawn.selected_per_ty(study, drawn.of_signal(study, study.benchmark_signal))
    if (n_events := sum(per_ty) * exposure_ty) > MOST_EVENTS:
        raise BadInput(f"{n_events:.2g} background events are expected in a list of {exposure_ty:g} t y; at most "
                       f"{MOST_EVENTS:.0e} are written")  # fmt: skip
    folder.mkdir(exist_ok=True)
    _parquet(folder / "training.parquet", _training(study, pulses, seed))
    _parquet(folder / "background.parquet", _background(study, sources, per_ty, pulses, seed))
    end = "parquet" if pulses else "csv"
    for kind in KINDS:
        source = drawn.of_range(kind, *_energies(study, kind))
        events = drawn.exactly(study, source, study.events.test_per_kind, (STREAM, seed, "calibration", kind), pulses)
        event_rows.write(folder / f"calibration_{kind.lower()}.{end}", listed(study, events, pulses))
    hidden, digests = [], {}
    for number in range(n_lists):
        name = f"search_{number + 1:0{len(str(n_lists))}d}.{end}"
        table, of_list = _search(
            study, name, sources, uncertainty, of_benchmark, masses, exposure_ty, pulses, (seed, number)
        )
        event_rows.write(folder / name, table)
        hidden.append(of_list)
        digests[name] = sha256(folder / name)
    answer.write_bytes(sealed.dumped(Answer(f"{seed:x}", hidden)))
    (folder / KNOWN).write_bytes(sealed.dumped(Challenge(sha256(answer), digests)))
    rows = zip(sources, per_ty, uncertainty, strict=True)
    return [ExpectedRate(source.name, source.kind, rate * exposure_ty, sd) for source, rate, sd in rows]


def sha256(path: Path) -> str:
    """Of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _energies(study: Study, kind: str) -> tuple[float, float]:
    return study.pool.er_energy_keV if kind == "ER" else study.pool.nr_energy_keV


def _masses(study: Study) -> list[float | None]:
    """Masses of the grid whose recoils the selection sees; the benchmark's, which is None without one, if there are
    none."""
    points = study.grid.m_chi_GeV.points() if study.grid.m_chi_GeV else ()
    seen = [mass for mass in points
            if drawn.pilot(study, drawn.of_signal(study, study.signal.at(mass))) >= drawn.FEWEST]  # fmt: skip
    return seen or [study.benchmark_signal.m_chi_GeV]


def listed(study: Study, events: Columns, pulses: tuple[str, ...] = (), truth: tuple[str, ...] = ()) -> pa.Table:
    """Events as a list has them, in columns that `observe` reads; of the truth what is asked for."""
    n, constants = len(events["selected"]), study.detector.constants
    made = {name: events[name] for name in truth}
    made |= {name: np.array([float(f"{value:.{DIGITS}g}") for value in events[name]], np.float64) for name in LIST}
    for pulse in ("s1", "s2"):
        if (waveform := f"{pulse}_waveform") in pulses:
            made[waveform] = _lists(events[waveform])
            made[f"{pulse}_sample_ns"] = np.full(n, getattr(constants, f"{pulse}_sample_ns"))
        if f"{pulse}_top" in pulses:
            both = np.concatenate([events[f"{pulse}_top"], events[f"{pulse}_bottom"]], axis=1)
            made[f"{pulse}_area_per_channel"] = _lists(both)
    return pa.table(made)


def _lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _parquet(path: Path, tables: Iterator[pa.Table]) -> None:
    """Shard by shard, since waveforms of all may be more than memory holds."""
    first = next(tables)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        for table in (first, *tables):
            writer.write_table(table)


def _training(study: Study, pulses: tuple[str, ...], seed: int) -> Iterator[pa.Table]:
    """Registered events of both kinds, as many as the study trains on, uniform in its true energies."""
    n = study.events.train_per_kind
    for kind in KINDS:
        source = drawn.of_range(kind, *study.events.energy_keV)
        for number, start in enumerate(range(0, n, SHARD)):
            key = (STREAM, seed, "training", kind, number)
            events = drawn.thrown(study, source, min(SHARD, n - start), key, pulses)
            events = drawn.only(events, events["registered"])
            events["kind"] = np.full(len(events["selected"]), kind)
            yield listed(study, events, pulses, ("kind", "energy_keV", "selected"))


def _background(
    study: Study, sources: list[EventSource], per_ty: list[float], pulses: tuple[str, ...], seed: int
) -> Iterator[pa.Table]:
    """Selected events of every component in the proportions of the search, about as many as the study's pool throws."""
    exposure_ty = study.pool.er_events / sum(per_ty)
    for source in sources:
        for events in drawn.exposures(study, source, exposure_ty, (STREAM, seed, "background", source.name), pulses):
            n = len(events["selected"])
            events |= {"component": np.full(n, source.name), "kind": np.full(n, source.kind)}
            yield listed(study, events, pulses, ("component", "kind", "energy_keV"))


def _search(
    study: Study, name: str, sources: list[EventSource], uncertainty: list[float], of_benchmark: float,
    masses: list[float | None], exposure_ty: float, pulses: tuple[str, ...], key: tuple,
) -> tuple[pa.Table, Hidden]:  # fmt: skip
    """A list, shuffled, and what is hidden in it. Rates of backgrounds are drawn from how well they are known."""
    rng, key = lineage.stream(STREAM, "search", *key), (STREAM, *key, "search")
    known = study.backgrounds.rates == "idealised"
    factors = rate_factors(rng, np.array([0.0 if known else sd for sd in uncertainty]), 1)[0]
    parts = [drawn.exposed(study, source, exposure_ty * factor, (*key, source.name), pulses)
             for source, factor in zip(sources, factors, strict=True)]  # fmt: skip
    mass, n_expected, n = None, 0.0, 0
    if rng.random() < WITH_SIGNAL:
        mass = masses[rng.integers(len(masses))]
        n_expected = float(of_benchmark * np.exp(rng.uniform(*np.log(FACTOR))))
        n = int(rng.poisson(n_expected))
        source = drawn.of_signal(study, study.signal.at(mass))
        parts.append(drawn.exactly(study, source, n, (*key, "signal"), pulses))
    table = pa.concat_tables([listed(study, part, pulses) for part in parts])
    return table.take(rng.permutation(len(table))), Hidden(name, len(table), n, n_expected, mass)
