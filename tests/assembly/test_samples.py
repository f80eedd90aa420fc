"""Components with events of their own: from the study to toys that draw them, without a cluster."""

from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest

from engine import study
from engine.assembly.population import signal_weights, signals
from engine.assembly.samples import sample
from engine.errors import BadInput
from engine.inference.cells import Choice, background_block
from engine.inference.pools import TOY_HALF
from engine.options import Options
from engine.physics import event_table, events
from engine.physics.detectors import darwin
from engine.physics.representations import vector
from engine.plan.plan import Plan
from engine.report import physics_report
from engine.run import pipeline
from engine.stages import diagnostics
from engine.stages import items as items_of
from engine.store.store import Store

SMALL = {
    "seed": 3,
    "events": {"train_per_kind": 100, "test_per_kind": 100},
    "pool": {"er_events": 600, "nr_events": 300, "component_events": 300},
    "models": {"vae": {"name": "dense_vae", "hidden": [8], "latent": 2, "batch_size": 50, "epochs": 1},
               "classifier": {"name": "mlp_classifier", "hidden": [8], "batch_size": 50, "epochs": 1}},
    "score": {"R": [1e4]},
    "grid": {"m_chi_GeV": {"values": [50]}, "sigma_si_cm2": {"values": [1e-47]}, "exposure_ty": {"values": [5]}},
}  # fmt: skip
N_ROWS, RATE_PER_TY = 2300, 3.2  # two shards of rows


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Surface-like events: real readouts of nuclear recoils, repeated, with and without energies in the window."""
    columns, readout = events.simulate(darwin.CONSTANTS, "NR", np.linspace(15, 40, 230), "surface")
    rows = np.arange(N_ROWS) % 230
    ces, weight = np.where(rows % 2 == 0, 30.0, 5.0), 1.0 + rows % 3
    features = vector.features(readout, darwin.CONSTANTS)[rows]
    file = tmp_path_factory.mktemp("table") / "surface.parquet"
    event_table.write(file, features, {"ces_keVee": ces, "z_cm": columns["z_cm"][rows]}, weight)
    return file


def raw(path, components=("pp", "surface", "xe124_ec"), **options):
    surface = {"spectrum": "user_events", "path": str(path), "rate_per_ty": RATE_PER_TY, "relative_uncertainty": 0.3}
    given = {"surface": surface | options} if "surface" in components else {}
    return SMALL | {"backgrounds": {"components": list(components), "options": given}}


@pytest.fixture(scope="module")
def scored(path, tmp_path_factory):
    """Plan and population after every stage before toys."""
    plan, store = Plan(study.parse(raw(path))), Store(str(tmp_path_factory.mktemp("store")))
    with pipeline.opened(plan, store, workers=0) as run:
        pipeline.score(run)
        return plan, run.population


def test_a_pool_has_a_kind_for_each_component_with_events_of_its_own(scored):
    plan, population = scored
    assert plan.kinds == population.pool.kinds == ("ER", "NR", "surface", "xe124_ec")
    assert population.pool.n_thrown.tolist() == [600, 300, N_ROWS, 300]
    for name, kind in (("pp", "ER"), ("surface", "surface"), ("xe124_ec", "xe124_ec")):
        weights = population.weights[population.names.index(name)]
        mine = population.pool.kind == plan.kinds.index(kind)
        assert np.all(weights[mine] > 0) and not weights[~mine].any(), name


def test_a_tables_rate_is_the_users_and_its_events_weigh_as_it_says(scored, path):
    plan, population = scored
    weights = population.weights[population.names.index("surface")]
    assert weights.sum() == pytest.approx(RATE_PER_TY, rel=1e-12)
    assert population.relative_uncertainty[population.names.index("surface")] == 0.3
    table = pq.read_table(path, columns=["ces_keVee", "weight"])
    inside = table["weight"].to_numpy()[table["ces_keVee"].to_numpy() < 10]
    mine = weights[population.pool.kind == plan.kinds.index("surface")]
    np.testing.assert_allclose(mine, RATE_PER_TY * inside / inside.sum())


def test_both_halves_have_their_share_however_the_table_is_ordered(scored):
    plan, population = scored
    half = population.pool.half[population.pool.kind == plan.kinds.index("surface")]
    assert abs(np.sum(half == TOY_HALF) - len(half) / 2) <= 0.5


def test_toys_draw_the_tables_events_as_often_as_their_rate_and_its_error_say(scored):
    """16 events in 5 t y, known to 30 %: counted by a statistic that sees them alone."""
    plan, population = scored
    surface = plan.kinds.index("surface")
    seen = SimpleNamespace(columns=lambda events: (events.kind == surface).astype(float)[:, None])
    counting = [Choice(None, SimpleNamespace(prepare=lambda null, options: seen), Options())]
    drawn = [background_block(population, 5.0, "null", block, counting) for block in range(4)]
    counts = np.concatenate([totals[:, 0] for _, (totals,) in drawn])
    assert counts.mean() == pytest.approx(16, abs=4 * np.sqrt(39 / 4000))
    assert counts.var() == pytest.approx(16 + (0.3 * 16) ** 2, rel=0.12)
    assert np.concatenate([n for n, _ in drawn]).mean() == pytest.approx(population.n_background(5.0), rel=0.02)


def test_events_of_captures_lie_below_the_electron_recoil_band(path):
    """At the same energy: 124Xe's against ordinary recoils thrown at its energies."""
    plan = Plan(study.parse(raw(path)))
    shard = next(shard for shard in plan.shards["pool"] if shard.kind == "xe124_ec")
    columns, _ = sample(plan, shard)
    ll = columns["energy_keV"] > 8
    ordinary, _ = events.simulate(darwin.CONSTANTS, "ER", columns["energy_keV"], "ordinary")
    ratio = [np.log10(c["cs2_pe"][ll] / c["cs1_pe"][ll]).mean() for c in (columns, ordinary)]
    assert ratio[0] < ratio[1] - 0.15
    assert columns["ces_keVee"][ll].mean() == pytest.approx(10, rel=0.02)
    assert 0.3 < columns["selected"].mean() < 0.95


# Digests


def items(path, *arguments, **options):
    return items_of(Plan(study.parse(raw(path, *arguments, **options))))


def test_a_component_of_its_own_leaves_the_events_of_the_others(path):
    plain, both = (Plan(study.parse(raw(path, names))) for names in (("pp",), ("pp", "surface", "xe124_ec")))
    recoils = [shard for shard in both.shards["pool"] if shard.kind in ("ER", "NR")]
    assert recoils == plain.shards["pool"]
    assert [s.n_thrown for s in both.shards["pool"] if s.kind == "surface"] == [2000, 300]
    assert items_of(plain)["models"] == items_of(both)["models"] and plain.stream_key != both.stream_key


def test_another_rate_keeps_the_scores_and_draws_new_toys(path):
    a, b = items(path), items(path, rate_per_ty=5.0)
    assert a["scores"] == b["scores"] and not set(a["nulls"]) & set(b["nulls"])


def test_another_file_or_window_is_scored_anew(path, tmp_path):
    copy = tmp_path / "copy.parquet"
    copy.write_bytes(path.read_bytes())
    assert items(path) == items(copy)
    pq.write_table(pq.read_table(path).slice(1), copy)
    for other in (Plan(study.parse(raw(path, window="none"))), Plan(study.parse(raw(copy)))):
        surface = {shard.item for shard in other.shards["pool"] if shard.kind == "surface"}
        assert len(surface) == 2 and not surface & set(items(path)["scores"])


# The physics report


def test_a_report_has_every_component_with_a_spectrum_and_a_signal_without_a_mass(path, tmp_path):
    def parsed(name):
        (tmp_path / name).write_text("energy_keV,rate\n4.5,0\n5,2\n5.5,0\n")
        signal = {"name": "user_table", "options": {"path": str(tmp_path / name), "kind": "ER"}}
        grid = {"strength": {"values": [1.0]}, "exposure_ty": {"values": [5]}}
        return study.parse(raw(path) | {"signal": signal, "grid": grid, "benchmark": {"strength": 3.0}})

    one = parsed("one.csv")
    assert [component.name for component in physics_report.components(one)] == ["pp", "xe124_ec"]
    peak = physics_report.benchmark(one)
    assert (peak.kind, peak.uncertainty, peak.is_default) == ("ER", None, False)
    np.testing.assert_allclose(peak.rate(np.array([4.0, 5.0, 5.25])), [0.0, 6.0, 3.0])
    assert physics_report.identity(one, 100) == physics_report.identity(parsed("copy.csv"), 100)


# What is refused before any work


def test_features_of_another_length_are_refused(path):
    small = raw(path) | {"representation": {"name": "image"}}
    with pytest.raises(BadInput, match="backgrounds.surface: .*surface.parquet has 3835 features.*image.*has 16875"):
        study.parse(small)


def test_a_table_without_an_event_in_the_window_is_refused(path):
    empty = raw(path)
    empty["backgrounds"]["er_window_keVee"] = [6.0, 8.0]
    with pytest.raises(BadInput, match=r"needs at least 2 events with ces_keVee in \[6, 8\), found 0 of 2300"):
        study.parse(empty)


def test_a_path_is_absolute_since_a_worker_may_have_another_folder(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    parsed = study.parse(raw(path.name))
    assert parsed.backgrounds.spectrum("surface")[1].path == str(path)
    assert items_of(Plan(parsed)) == items(path)


@pytest.mark.parametrize("name", ["ER", "NR"])
def test_a_component_cannot_take_the_name_of_a_kind(path, name):
    taken = raw(path)
    taken["backgrounds"] = {"components": ["pp", name], "options": {name: taken["backgrounds"]["options"]["surface"]}}
    with pytest.raises(BadInput, match=f"a component cannot be called {name!r}"):
        study.parse(taken)


def test_some_component_must_be_ordinary_electron_recoils(path):
    with pytest.raises(BadInput, match="at least one electron-recoil component"):
        study.parse(raw(path, ("atm", "surface", "xe124_ec")))


# What is refused before toys


def extended(path, **grid):
    changed = raw(path)
    sure = {"confirm": ["sigma_si_cm2", "exposure_ty"]}
    return Plan(study.parse(changed | sure | {"grid": {name: {"values": values} for name, values in grid.items()}}))


def test_a_toy_too_full_of_signal_is_refused_with_its_point(scored, path):
    """Of sigma in 5 t y at 50 GeV, 1e-47 gives some 7 selected events: 1e-38 gives 7e9, 1e-42 7e5."""
    _, population = scored
    full = extended(path, m_chi_GeV=[50], sigma_si_cm2=[1e-47, 1e-42, 1e-38], exposure_ty=[5])
    said = r"m_chi_GeV = 50, sigma_si_cm2 = 1e-38, exposure_ty = 5: \d.*e\+09 signal events .* at most 1e\+06"
    with pytest.raises(BadInput, match=said):
        signals(full, population, full.points)
    some = [point for point in full.points if point.size < 1e-40]
    assert set(signals(full, population, some)) == {50.0}


def test_a_toy_too_full_of_background_is_refused_with_its_point(scored, path):
    _, population = scored
    full = extended(path, m_chi_GeV=[50], sigma_si_cm2=[0.0], exposure_ty=[5, 1e6])
    with pytest.raises(BadInput, match=r"exposure_ty = 1e\+06: .* background events are expected in a toy"):
        signals(full, population, full.points)


def test_signals_are_made_for_the_masses_that_are_asked_for(scored, path):
    _, population = scored
    plan = extended(path, m_chi_GeV=[20, 50, 100], sigma_si_cm2=[1e-47], exposure_ty=[5])
    wanted = [point for point in plan.points if point.m_chi_GeV in (20, 100)]
    found = signals(plan, population, wanted)
    assert set(found) == {20.0, 100.0} and signals(plan, population, []) == {}
    expected = signal_weights(plan.study.signal.at(20.0), population)
    np.testing.assert_array_equal(found[20.0], expected)


class TestRecoilsOfTheSignal:
    """Nuclear recoils of training and test on the spectra of WIMPs; nothing else of a study is moved by them."""

    NR = {"nr": {"m_chi_GeV": [10, 1000], "energy_keV": [2.0, 60.0], "times": 3.0}}

    def plan(self, **changes):
        return Plan(study.parse(SMALL | {"events": SMALL["events"] | self.NR} | changes))

    def energies(self, plan, purpose):
        (shard,) = (shard for shard in plan.shards[purpose] if shard.kind == "NR")
        return sample(plan, shard)[0]["energy_keV"]

    def test_training_and_test_events_fall_as_the_spectra_do(self):
        plan = self.plan()
        for purpose in ("train", "test"):
            energy = self.energies(plan, purpose)
            assert len(energy) == 300 and 2 <= energy.min() and energy.max() <= 60
            assert np.mean(energy < 8) > 0.5, "a WIMP of 10 GeV has no more: half of the events are its"
        assert self.energies(Plan(study.parse(SMALL)), "test").max() > 90, "uniform up to 100 keV"

    def test_only_nuclear_recoils_of_training_and_test_have_other_names(self):
        plain, plan = Plan(study.parse(SMALL)), self.plan()
        for purpose in ("train", "test", "pool"):
            before, after = ({(s.kind, s.number): s.item for s in one.shards[purpose]} for one in (plain, plan))
            same = {place for place in before if before[place] == after[place]}
            assert {kind for kind, _ in same} == ({"ER"} if purpose != "pool" else {"ER", "NR"})

    def test_another_halo_is_another_training_set(self):
        names = [{s.item for s in plan.shards["train"] if s.kind == "NR"}
                 for plan in (self.plan(), self.plan(signal={"options": {"v0_km_s": 220.0}}))]  # fmt: skip
        assert not names[0] & names[1]

    def test_their_population_is_judged_as_it_is_trained_on(self):
        name, _ = diagnostics.populations(self.plan())
        assert name == "as-trained_1_100_keV"

    def test_a_signal_of_electron_recoils_has_none(self):
        peak = {"name": "flat", "options": {"per_ty_keV": 1.0}}
        grid = {"strength": {"values": [1.0]}, "exposure_ty": {"values": [5]}}
        with pytest.raises(BadInput, match="events.nr: the signal 'flat' makes no nuclear recoils by its mass"):
            self.plan(signal=peak, grid=grid)
