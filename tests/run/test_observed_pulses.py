"""`observe` of a list with pulses, under models that read the vector: the scores of the simulation, from a file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from studies import TINY

from engine import study
from engine.physics import events
from engine.physics.representations import vector
from engine.report import event_display, observed
from engine.run import observation, pipeline
from engine.store.store import Store
from zoo import load, terms

SETTINGS = ("grid.exposure_ty=[20]", "toys.statistics=['excess_scan','count']", "toys.exact='none'", "toys.null=1000",
            "toys.signal=500", "limits.enabled=false", "grid.m_chi_GeV=[50]", "pool.er_events=2500")  # fmt: skip
N = 400


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A study, its store and its outcome."""
    parsed, store = study.load(TINY, SETTINGS), Store(tmp_path_factory.mktemp("pulses") / "store")
    return parsed, store, pipeline.run(parsed, store, workers=0, name="tiny")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """What was simulated, and a Parquet file of it with lists of strax's names."""
    tpc = study.load(TINY, SETTINGS).detector.constants
    columns, readout = events.simulate(tpc, "ER", np.linspace(2, 10, N), "observed pulses")
    table = {name: columns[name] for name in ("cs1_pe", "cs2_pe")} | {
        "s1_data": list(readout.s1_waveform), "s1_dt": np.full(N, int(tpc.s1_sample_ns)),
        "s2_data": list(readout.s2_waveform), "s2_dt": np.full(N, int(tpc.s2_sample_ns)),
        "s2_area_per_channel": list(np.concatenate([readout.s2_top, readout.s2_bottom], axis=1)),
        "event_number": np.arange(N),
    }  # fmt: skip
    path = tmp_path_factory.mktemp("data") / "list.parquet"
    pq.write_table(pa.table(table), path)
    return readout, path


def test_the_terms_of_a_list_are_those_of_the_simulation(scanned, recorded):
    parsed, _, outcome = scanned
    seen = observation.observation(outcome, observation.read(parsed, recorded[1]), 20)
    kept = seen.events.row - 1
    assert N // 2 < len(kept) < N  # of 2 to 10 keV, in a window of 2 to 10 keVee
    features = vector.features(recorded[0], parsed.detector.constants)[kept]
    for role, found in seen.terms.items():
        fitted = load(outcome.ledger.read(outcome.plan.models[role]), outcome.plan.family(role))
        for name, expected in terms(fitted, features).items():
            np.testing.assert_array_equal(found[name], expected)
            assert np.ptp(expected) > 0


def test_observe_judges_it(scanned, recorded, run_here):
    parsed, store, _ = scanned
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    track = "--tracking", f"sqlite:///{store.folder()}/mlflow.db"
    command = "observe", TINY, recorded[1], "--store", store.uri, *track, *settings
    assert "blinded: nothing of the signal region was shown" in run_here(*command).stdout
    said_lines = run_here(*command, "--unblind").stdout.splitlines()
    said = " ".join(" ".join(said_lines).split())
    assert "R = 10000, rank 1: row " in said and "event_number" in said and "global: smallest local p" in said
    assert "count: q = " in said
    folder = next(line.removeprefix("tables and figures: ") for line in said_lines if line.startswith("tables and"))
    shown = sorted(path.name for path in Path(folder).glob("event_R10000_*.png"))
    assert shown == [f"event_R10000_{rank}.png" for rank in range(1, observed.DISPLAYED + 1)]


def test_a_list_without_charge_of_single_tubes_has_no_display(recorded):
    tpc = study.load(TINY, SETTINGS).detector.constants
    one = event_display.of_one(recorded[0], 3)
    assert event_display.display("an event", one, tpc) is not None
    none = np.zeros((1, 0), np.float32)
    assert event_display.display("an event", replace(one, s1_bottom=none, s2_top=none, s2_bottom=none), tpc) is None
    some = event_display.display("an event", replace(one, s1_bottom=none, s1_waveform=none), tpc)
    assert len(some.axes) == 4  # the S2's pulse, its two patterns and their colours
