"""Limits on a list, several lists in one search, and what other tools read: of small scans, by the command."""

import csv
import dataclasses
import io
from types import SimpleNamespace

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from studies import STUDIES

from engine import schemas, study
from engine.errors import BadInput
from engine.inference import experiments
from engine.inference.pools import DENSITY_HALF
from engine.physics import events
from engine.report import joint as of_joint
from engine.report import observed as report
from engine.report import score_templates
from engine.run import joint, observation, observed_limits, pipeline
from engine.size import STRENGTH
from engine.store.store import Store

SEEN = STUDIES / "seen.toml"
EXPOSURES_TY = {"one": 0.3, "two": 0.2}
XENON = ("dm_mass_gev", "sensitivity_median_cm2", *(f"sensitivity_{n}sigma_cm2" for n in ("m2", "m1", "p1", "p2")),
         "upper_limit_cm2", "unconstrained_upper_limit_cm2")  # fmt: skip
WORDS = [name.removesuffix("_cm2") for name in XENON[1:]]
WORDS += ["upper_limit_error", "sensitivity_median_error", "lower_limit", "power_constrained"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two studies, of which the second is of another run: LZ's first, and shorter."""
    folder = tmp_path_factory.mktemp("two")
    text = SEEN.read_text()
    (folder / "one.toml").write_text(text)
    (folder / "two.toml").write_text(text.replace("lz_ws2024", "lz_ws2022").replace("[0.3]", "[0.2]"))
    return folder


@pytest.fixture(scope="module")
def scanned(folder):
    """A store with both finished scans, and their outcomes by name."""
    store = Store(folder / "store")
    return store, {name: pipeline.run(study.load(folder / f"{name}.toml"), store, workers=0) for name in EXPOSURES_TY}


@pytest.fixture(scope="module")
def lists(folder, scanned):
    """Lists of pool events as they are expected, and a few nuclear recoils more."""
    for name, outcome in scanned[1].items():
        population, rng = outcome.population, np.random.default_rng(len(name))
        pool, expected = population.pool, population.weights.sum(axis=0)
        n = rng.poisson(population.n_background(EXPOSURES_TY[name]))
        picked = rng.choice(len(expected), n, p=expected / expected.sum())
        picked = np.append(picked, rng.choice(np.flatnonzero(pool.kind == 1), 2))
        per_phd = events.mean_charge(outcome.plan.study.detector.constants)
        rows = np.column_stack([pool.cs1_pe[picked], pool.cs2_pe[picked]]) / per_phd
        lines = [f"{one!r},{two!r},run{name},{i}" for i, (one, two) in enumerate(rows.tolist())]
        (folder / f"{name}.csv").write_text("\n".join(["cs1_phd,cs2_phd,run_id,event_number", *lines]) + "\n")
    return folder


@pytest.fixture(scope="module")
def seen(scanned, lists):
    """Both lists under their scans."""
    made = []
    for name, outcome in scanned[1].items():
        listed = observation.read(outcome.plan.study, lists / f"{name}.csv")
        made.append(observation.observation(outcome, listed, EXPOSURES_TY[name]))
    return made


@pytest.fixture(scope="module")
def limits(seen):
    """Rows of both lists, and of both at once."""
    return [observed_limits.table(some).to_pylist()[0] for some in ([seen[0]], [seen[1]], seen)]


def test_the_pools_own_events_fall_where_the_experiment_has_them(seen):
    """What an observed event is told by is what the pool's are: rows of one are rows of the other."""
    population, exposure_ty = seen[0].population, seen[0].exposure_ty
    background = experiments.backgrounds(population.null(None, exposure_ty))
    signal = np.where(population.pool.kind == 1, 1e-3, 0.0)
    reference = signal[population.pool.half == DENSITY_HALF]
    unbinned = background.unbinned(reference, population.signal(signal))
    np.testing.assert_allclose(background.rows(background.drawn, reference, unbinned), unbinned.rows, rtol=1e-12)
    binning = experiments.settling(unbinned)
    counts = binning.counts(unbinned.rows)
    assert counts.sum() == len(unbinned.rows) and len(counts) == len(binning.merged(unbinned).rows)


def test_the_sensitivity_beside_a_limit_is_the_scans_own(scanned, limits):
    for row, outcome in zip(limits, scanned[1].values(), strict=False):
        (scan,) = outcome["limits"].table.to_pylist()
        names = {"sensitivity_median": "90", "sensitivity_m1sigma": "low", "sensitivity_p1sigma": "high",
                 "power_constrained": "power_constrained", "sensitivity_median_error": "90_error"}  # fmt: skip
        assert {f"{name}_cm2": row[f"{name}_cm2"] for name in names} == {
            f"{name}_cm2": scan[f"sigma_si_{theirs}_cm2"] for name, theirs in names.items()
        }
        assert row["n_background"] == pytest.approx(scan["n_background"])


def test_a_limit_stands_beside_what_is_expected_and_both_lists_say_more_than_one(limits):
    one, two, both = limits
    for row in limits:
        band = [row[name] for name in (XENON[2], XENON[3], XENON[1], XENON[4], XENON[5])]
        assert band == sorted(band) and band[0] > 0
        assert row["upper_limit_cm2"] == max(row["unconstrained_upper_limit_cm2"], row["power_constrained_cm2"])
        assert 0 < row["p_discovery"] <= 1 and row["upper_limit_error_cm2"] > 0
    assert both["sensitivity_median_cm2"] < min(one["sensitivity_median_cm2"], two["sensitivity_median_cm2"])
    assert both["exposure_ty"] == pytest.approx(0.5) and both["n_events"] == one["n_events"] + two["n_events"]
    assert len({row["setting"] for row in limits}) == 3


def test_nuclear_recoils_in_a_list_raise_its_limit_and_its_own_pool_shows_none(seen, limits):
    """A list with thirty nuclear recoils more has a limit as much higher."""
    population, first = seen[0].population, seen[0]
    many = np.random.default_rng(1).choice(np.flatnonzero(population.pool.kind == 1), 30)
    columns = {name: np.append(first.events.columns[name], getattr(population.pool, name)[many])
               for name in ("cs1_pe", "cs2_pe")}  # fmt: skip
    more = dataclasses.replace(first.events, columns=columns, row=np.arange(len(columns["cs1_pe"])))
    (row,) = observed_limits.table([dataclasses.replace(first, events=more)]).to_pylist()
    assert row["upper_limit_cm2"] > 3 * limits[0]["upper_limit_cm2"] > 0
    assert row["p_discovery"] == 1 / 501 and row["z_discovery_asymptotic"] > 5


@pytest.fixture
def observe(run_here, scanned, lists):
    def call(*arguments, check=0):
        where = "--store", scanned[0].uri, "--tracking", f"sqlite:///{scanned[0].folder()}/mlflow.db"
        return run_here("observe", lists / "one.toml", lists / "one.csv", *where, *arguments, check=check)

    return call


def test_several_lists_are_one_search_blind_until_told_otherwise(observe, scanned, lists, seen):
    store, pair = scanned[0], ("--also", lists / "two.toml", lists / "two.csv")
    blinded = " ".join(observe(*pair).stdout.split())
    assert "two: outside the signal region" in blinded and "blinded: " in blinded
    assert blinded.count("together: power for three sigma") == 3
    assert "global" not in blinded and "limit" not in blinded and not store.list(observation.FOLDER)
    said = " ".join(observe(*pair, "--unblind").stdout.split())
    for words in ("one: global: ", "two: global: ", "together: 2 lists, ", "together: global: smallest",
                  "together: upper limit at 40 GeV: ", "run_id runtwo"):  # fmt: skip
        assert words in said, words
    assert "unblinded before" not in said  # one search is one way of looking
    both = joint.JointObservation(tuple(seen))
    records = [store.kept(path, observation.Unblinding) for path in store.list(f"{observation.FOLDER}/unblinded")]
    assert sorted(record.setting for record in records) == sorted([*(s.setting for s in seen), *[both.setting] * 2])
    kept = f"{observation.FOLDER}/{both.setting}"
    table = pq.read_table(store.where(f"{kept}/statistics.parquet"))
    assert table.schema.equals(schemas.OBSERVED, check_metadata=False)
    row = table.to_pylist()[-1]
    assert row["statistic"] == "combined" and row["p"] >= 1 / 1001
    assert row["n_events"] == sum(len(one.events) for one in seen)
    assert seen[0].unblind(store, "one") == 1  # alone, the search in both was another look at these data


def test_the_limit_table_has_the_names_of_xenons_releases(seen):
    made = report.csv_and_parquet({"limits": observed_limits.table([seen[0]])})
    (row,) = csv.DictReader(io.StringIO(made["limits.csv"].decode()))
    assert tuple(row)[: len(XENON)] == XENON
    assert float(row["dm_mass_gev"]) == 40 and 1e-50 < float(row["upper_limit_cm2"]) < 1e-40
    both = of_joint.files(joint.JointObservation(tuple(seen)), {"limits": observed_limits.table(seen)})
    assert {"limits.csv", "limits.parquet", "limits.png"} == set(both)


def test_templates_of_the_score_are_read_as_inference_interface_reads_them(seen):
    one, data = seen[0], score_templates.encoded(seen[0], 0.0)
    with h5py.File(io.BytesIO(data), "r") as file:  # as its template_to_multihist does
        ((_, axis),) = sorted(file["bins"].items())
        edges, name = np.array(axis), axis.attrs.get("name", "axis0")
        templates = {key: np.array(histogram) for key, histogram in file["templates"].items()}
        exposure_ty, unit = file.attrs["exposure_ty"], file.attrs["unit"]
    assert name == "TS" and unit == "events" and exposure_ty == one.exposure_ty
    assert (np.diff(edges) > 0).all() and len(edges) > 50
    assert set(templates) == {"background", "signal_40GeV", *one.population.names}
    assert all(histogram.shape == (len(edges) - 1,) for histogram in templates.values())
    assert templates["background"].sum() == pytest.approx(one.population.n_background(one.exposure_ty))
    own = sum(templates[component] for component in one.population.names)
    np.testing.assert_allclose(own, templates["background"])
    above = edges[:-1] >= edges[-20]  # where background is rare, WIMPs are
    share = {key: templates[key][above].sum() / templates[key].sum() for key in ("background", "signal_40GeV")}
    assert share["background"] < 0.02 < share["signal_40GeV"]
    assert data == score_templates.encoded(one, 0.0)  # no date in it


def test_events_that_are_named_have_their_run_and_number(seen):
    made = report.csv_and_parquet({"events": report.tables(seen[0], 0)["events"]})
    rows = list(csv.DictReader(io.StringIO(made["events.csv"].decode())))
    listed = dict(zip(seen[0].events.row.tolist(), seen[0].events.labels["event_number"], strict=True))
    assert all(row["run_id"] == "runone" and row["event_number"] == listed[int(row["row"])] for row in rows)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--also", "one.toml"), "takes a study and its list of events"),
        (("--also", "one.toml", "one.csv"), "one.csv holds the events of "),
        (("--also", "one.toml", "half.csv"), "events are in "),
        (("--also", "count.toml", "two.csv"), "the studies have no statistic with the same R in common: "),
        (("--also", "other.toml", "two.csv"), "no finished table of this study in "),
    ],
)
def test_lists_that_are_no_search_together_are_refused_in_one_line(observe, scanned, lists, arguments, said):
    store, text = scanned[0], (lists / "two.toml").read_text()
    (lists / "half.csv").write_text("".join((lists / "one.csv").read_text().splitlines(True)[:50]))
    (lists / "other.toml").write_text(text.replace("seed = 5", "seed = 6"))
    (lists / "count.toml").write_text(text.replace('["excess_scan", "tail_count", "count"]', '["deviance"]'))
    if "count.toml" in arguments:
        pipeline.run(study.load(lists / "count.toml"), store, workers=0)
    done = observe(*(word if word == "--also" else lists / word for word in arguments), check=2)
    assert said in done.stderr and done.stderr.count("\n") == 1 and not done.stdout


def of_study(seen, **changes):
    """An observation whose plan says something else."""
    plan = SimpleNamespace(**{"study": seen.plan.study, "signal": seen.plan.signal} | changes)
    return dataclasses.replace(seen, outcome=dataclasses.replace(seen.outcome, plan=plan))


def test_studies_without_a_common_signal_or_mass_have_no_common_limit(seen):
    first, second = seen
    with pytest.raises(BadInput, match="different signals"):
        observed_limits.masses([first, of_study(second, signal=("another",))])
    text = study.load(SEEN, ("grid.m_chi_GeV=[20]", "benchmark.m_chi_GeV=20"))
    with pytest.raises(BadInput, match="no mass in common, in GeV: 40; 20"):
        observed_limits.masses([first, of_study(second, study=text)])
    off = of_study(second, study=study.load(SEEN, ("limits.enabled=false",)), signal=("another",))
    assert observed_limits.masses([first, off]) == [] and observed_limits.masses(seen) == [40]


def test_a_limit_on_a_strength_has_no_unit_and_one_by_its_constraint_says_so(seen, limits):
    names = {schemas.limit_name(word, STRENGTH): limits[0][f"{word}_cm2"] for word in WORDS}
    assert "upper_limit" in names and schemas.observed_limits(STRENGTH).field("upper_limit").metadata[b"unit"] == b""
    row = limits[0] | names | {"dm_mass_gev": None, "unconstrained_upper_limit": names["upper_limit"] / 2}
    table = schemas.of_rows(schemas.observed_limits(STRENGTH), [row])
    (line,) = report.limit_lines(table, STRENGTH)
    assert line.startswith(f"upper limit: {names['upper_limit']:.3g} (+- ") and "by the power constraint" in line
    assert not report.limit_figure([seen[0]], observed_limits.table([seen[0]]).slice(0, 0), "png")
