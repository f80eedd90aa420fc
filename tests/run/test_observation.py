"""`observe`: blind until it is told otherwise, with a record of every look, and bad input refused before any work."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from studies import STUDIES

from engine import schemas, study
from engine.errors import BadInput
from engine.inference import observed
from engine.physics import event_list, events
from engine.physics.detectors import lz_ws2024, xenon1t_sr0
from engine.report import observed as report
from engine.report.diagnostics import diagnosed
from engine.run import observation, pipeline, salt
from engine.store import sealed
from engine.store.store import Store

SEEN = STUDIES / "seen.toml"
DATA = Path(os.environ.get("RECOILSCAN_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
COLUMNS = "data.columns={{cs1_{0}='one',cs2_{0}='two'}}"
N_ER, N_NR, N_NOISE = 100, 40, 3


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A store with the finished scan, and its outcome."""
    store = Store(tmp_path_factory.mktemp("seen") / "store")
    return store, pipeline.run(study.load(SEEN), store, workers=0, name="seen")


@pytest.fixture(scope="module")
def listed(scanned, tmp_path_factory):
    """A list with more nuclear recoils than there are, some events beyond the selection, and labels."""
    pool = scanned[1].population.pool
    rng, per_phd = np.random.default_rng(4), events.mean_charge(lz_ws2024.CONSTANTS)
    places = np.concatenate([rng.choice(np.flatnonzero(pool.kind == i), n) for i, n in ((0, N_ER), (1, N_NR))])
    x, y = (area[places] / per_phd for area in (pool.cs1_pe, pool.cs2_pe))
    x, y = np.concatenate([x, [200.0] * N_NOISE]), np.concatenate([y, [3e4] * N_NOISE])
    path = tmp_path_factory.mktemp("data") / "list.csv"
    rows = [f"{one!r},{two!r},run7,{9000 + i}" for i, (one, two) in enumerate(zip(x.tolist(), y.tolist(), strict=True))]
    path.write_text("\n".join(["one,two,run_id,event_number", *rows]) + "\n")
    return path


@pytest.fixture
def observe(run_here, scanned, listed):
    def call(*arguments, unit="phd", store=scanned[0].uri, data=listed, check=0):
        track = "--tracking", f"sqlite:///{scanned[0].folder()}/mlflow.db"
        columns = "--set", COLUMNS.format(unit)
        return run_here("observe", SEEN, data, "--store", store, *track, *columns, *arguments, check=check)

    return call


def test_blinded_nothing_of_the_signal_region_is_said_and_nothing_kept(observe, scanned, listed):
    said = observe().stdout
    whole = " ".join(said.split())
    assert f"events outside the study's selection, left out: {N_NOISE}" in whole
    assert "blinded: nothing of the signal region was shown" in whole
    seen = the_list(scanned, listed)
    n_outside = int(np.count_nonzero(~seen.inside))
    assert f": {n_outside} events, " in whole and 0.15 * N_NR < seen.inside.sum() < 0.5 * N_NR
    for inside in ("TS", "rank", "run7", "Z =", "global", "combined", "all selected", str(len(seen.events))):
        assert inside not in whole, inside
    assert not scanned[0].list(observation.FOLDER)
    power = [line for line in said.splitlines() if line.startswith("power for three sigma at m_chi_GeV = 40")]
    assert len(power) == 3 and 0 <= float(power[0].rpartition(" ")[2]) <= 1


def test_of_a_salted_list_it_is_said(observe, listed, tmp_path):
    path = tmp_path / "salted.csv"
    path.write_bytes(listed.read_bytes())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    salt.beside(path).write_bytes(sealed.dumped(salt.Salted(digest, "0" * 64)))
    assert observe(data=path).stdout.startswith("this list is salted with hidden events of a signal")
    path.write_bytes(path.read_bytes() + b"20,3000,run7,1\n")
    assert "is of another list than this one" in observe(data=path).stdout


def the_list(scanned, path, unit="phd"):
    parsed = study.load(SEEN, (COLUMNS.format(unit),))
    return observation.observation(scanned[1], observation.read(parsed, path), 0.3)


def test_to_look_is_recorded_before_and_a_second_way_of_looking_says_so(observe, scanned, listed):
    store = scanned[0]
    said = " ".join(observe("--unblind").stdout.split())
    for words in (
        f"all selected events: {N_ER + N_NR}", "global: smallest local p =", "rank 1: row ", "run_id run7",
        "fit with the signal region, (cS1, log10 cS2)", "tables and figures: ", "upper limit at 40 GeV: ",
    ):  # fmt: skip
        assert words in said, words
    assert "unblinded before" not in said
    tables = {Path(path).name: path for path in store.list(observation.FOLDER) if path.endswith(".parquet")}
    table = pq.read_table(store.where(tables["statistics.parquet"]))
    assert table.schema.equals(schemas.OBSERVED, check_metadata=False)
    rows = {row["statistic"]: row for row in table.to_pylist()}
    assert set(rows) == {"excess_scan", "tail_count", "count", "combined"}
    assert rows["combined"]["p"] >= rows["combined"]["q"] == min(row["p"] for row in rows.values())
    assert rows["excess_scan"]["p"] < 0.01 and rows["count"]["q"] == N_ER + N_NR  # 40 nuclear recoils
    by_score = pq.read_table(store.where(tables["events.parquet"]))
    ts, above = by_score["TS"].to_numpy(), by_score["n_above"].to_numpy()
    assert len(by_score) == N_ER + N_NR and (np.diff(ts) <= 0).all() and (np.diff(above) >= 0).all()
    assert "density_log_density" in by_score.column_names
    records = store.list(f"{observation.FOLDER}/{observation.RECORDS}")
    assert len(records) == 1 and store.kept(records[0], observation.Unblinding).study == "seen"
    same, other = (the_list(scanned, listed, unit) for unit in ("phd", "pe"))
    assert same.setting == rows["count"]["setting"] != other.setting
    assert same.unblind(store, "seen") == 0  # the same again is no further trial
    made = report.tables(other, other.unblind(store, "seen"))
    assert any("unblinded before under 1 other settings" in line for line in report.lines_after(other, made))
    assert same.unblind(store, "seen") == 1
    (store.folder() / records[0]).write_bytes(b"{}")  # a record that cannot be read is no look undone
    assert same.unblind(store, "seen") == 2


def test_a_score_without_a_classifier_has_no_roc(scanned):
    plan, outcome = scanned[1].plan, scanned[1]
    assert not dict(diagnosed(plan, outcome.population, outcome["diagnostics"], {}))


def test_events_are_scored_as_the_pool_was(scanned, listed):
    """The frozen models give listed events of the pool the scores that the pool has."""
    seen, population = the_list(scanned, listed), scanned[1].population
    R = scanned[1].plan.study.score.R[0]
    ts = seen.seen[R].ts
    nearest = np.abs(population.ts[R][:, None] - ts).min(axis=0)
    np.testing.assert_allclose(nearest, 0, atol=1e-4)
    expected, _ = seen.rarity(R)
    assert expected.max() <= population.n_background(0.3) * (1 + 1e-9)
    inside, _ = observed.in_region(population, seen.events.columns["cs1_pe"], seen.events.columns["cs2_pe"])
    np.testing.assert_array_equal(inside, seen.inside)


@pytest.mark.parametrize(
    "arguments, content, said",
    [
        (("--set", "data.exposure_ty=1"), None, "no scan has it; try --set grid.exposure_ty=1"),
        (("--set", "representation.name=vector", "--set", "score.name=classifier", "--set", "models={}"), None,
         "no column for s1_waveform; would do: s1_waveform, s1_data"),
        (("--set", "seed=6"), None, "no finished table of this study in "),
        (("--set", "representation.name=summary"), "one,two,drift_us\n4,1000,50\n",
         "as it was last scanned there: representation.name: \"corrected\" -> \"summary\"); run: recoilscan scan"),
        (("--set", "data.columns={cs1=1}"), None, "data.columns.cs1"),
        (("--set", "toys.statistics=['known_signal']"), None, "no toys serve known_signal: toys.statistics needs"),
        (("--set", "backgrounds.nr_window=[1,50]"), None, "an event has no kind"),
        ((), "one,two\n", "it holds no event"),
        ((), "one,three\n4,1000\n", "needs one column 'two'; found: one, three"),
        ((), "one,two\n900,1000\n", "none of the list's 1 events is in the study's selection, cs1_phd in [3.0, 80.0]"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_before_any_work(observe, tmp_path, listed, arguments, content, said):
    data = listed
    if content is not None:
        data = tmp_path / "bad.csv"
        data.write_text(content)
    done = observe(*arguments, data=data, check=2)
    assert said in done.stderr and done.stderr.count("\n") == 1 and not done.stdout


def test_an_exposure_of_several_must_be_said():
    several = "grid.exposure_ty=[0.3,1]"
    with pytest.raises(BadInput, match="the grid has several"):
        observation.exposure_of(study.load(SEEN, (several,)))
    assert observation.exposure_of(study.load(SEEN, (several, "data.exposure_ty=1"))) == 1


@pytest.mark.parametrize("name, n_rows, module", [("lz_ws2024", 1221, None), ("lz_ws2022", 335, None),
                                                  ("xenon1t_sr0_search_data", 63, xenon1t_sr0)])  # fmt: skip
def test_public_lists_are_read_and_pass_the_published_selection(name, n_rows, module):
    path = DATA / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"no {path}: the public list of events is not there")
    if module:
        parsed = study.load("xenon1t_sr0")
        seen = observation.read(parsed, path)
        assert len(seen) == n_rows and seen.columns["cs1_pe"].max() < 200
        assert observation.selected(parsed, seen).all()
        with pytest.raises(BadInput, match="cs2_bottom_pe is not what this detector sees"):
            event_list.read(path, lz_ws2024.CONSTANTS)
        return
    parsed = study.load(name)
    seen = observation.read(parsed, path)
    assert len(seen) == n_rows and observation.selected(parsed, seen).all()
