"""Salt: hidden events are the signal's, as many as it gives, and neither rows, digits nor labels tell them."""

import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats
from studies import STUDIES, TINY

from engine import study
from engine.errors import BadInput
from engine.physics import event_list, events
from engine.physics.representations import vector
from engine.plan.plan import Plan
from engine.report import physics_report
from engine.run import drawn, salt

SEEN, N = study.load(STUDIES / "seen.toml"), 30
EXPOSURE_TY = 0.3
HEADER = ["s1c_phd", "log10_s2c_phd", "run_id", "event_number"]


@pytest.fixture
def listed(tmp_path):
    """Thirty events of six digits, in order, of two runs whose numbers have gaps."""
    rng = np.random.default_rng(1)
    s1, s2 = np.sort(rng.uniform(3, 80, N)), rng.uniform(3.4, 4.2, N)
    path, numbers = tmp_path / "list.csv", np.sort(rng.choice(500, N, replace=False))
    rows = [[f"{x:.6g}", f"{y:.6g}", f"run{i % 2}", str(7000 + n)]
            for i, (x, y, n) in enumerate(zip(s1, s2, numbers, strict=True))]  # fmt: skip
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def salted(listed, name, seed, n_expected=4.0, parsed=SEEN):
    into = listed.parent / f"{name}{listed.suffix}"
    salt.salt(parsed, listed, into, salt.key_of(into), EXPOSURE_TY, n_expected, seed)
    return into, salt.reveal(into, salt.key_of(into))


def rows_of(path):
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == HEADER
    return rows


def digits(number):
    return len(number.replace(".", "").lstrip("0"))


def test_without_the_salt_a_list_is_what_it_was_and_nothing_else_tells_salt(listed):
    into, key = salted(listed, "salted", 3)
    rows, before = rows_of(into), rows_of(listed)
    hidden = [rows[i - 1] for i in key.rows]
    real = [row for i, row in enumerate(rows, 1) if i not in key.rows]
    same = [[float(a), float(b), run, number] for a, b, run, number in before]
    assert sorted([float(a), float(b), run, number] for a, b, run, number in real) == sorted(same)
    assert real != before and len(hidden) == len(key.rows) > 0
    for run in ("run0", "run1"):
        numbers = [int(row[3]) for row in rows if row[2] == run]
        had = [int(row[3]) for row in before if row[2] == run]
        assert len(set(numbers)) == len(numbers) and (min(numbers), max(numbers)) == (min(had), max(had))
    assert {row[2] for row in hidden} <= {"run0", "run1"}
    assert max(digits(row[i]) for row in hidden for i in (0, 1)) == 6
    seen = event_list.read(into, SEEN.detector.constants)
    cs1 = seen.columns["cs1_pe"][np.array(key.rows) - 1] / events.mean_charge(SEEN.detector.constants)
    assert ((cs1 >= 3) & (cs1 < 80)).all()  # the study's selection


def test_the_seed_makes_the_bytes(listed):
    one, key = salted(listed, "one", 3)
    same, _ = salted(listed, "same", 3)
    other, _ = salted(listed, "other", 4)
    secret, unknown = salted(listed, "secret", None)
    assert one.read_bytes() == same.read_bytes() and key.seed == "3"
    assert salt.key_of(one).read_bytes() == salt.key_of(same).read_bytes()
    assert len({path.read_bytes() for path in (one, other, secret)}) == 3 and len(unknown.seed) > 20


def test_the_number_is_a_poisson_one_and_places_are_anywhere(listed):
    counts, places, mean = [], [], 4.0
    for seed in range(60):
        _, key = salted(listed, f"many{seed}", seed, mean)
        counts.append(len(key.rows))
        places += [row / (N + len(key.rows)) for row in key.rows]
    assert abs(np.mean(counts) - mean) < 3 * np.sqrt(mean / 60)
    assert 0.5 < np.var(counts) / mean < 1.7  # 60 of them: 1 +- 0.19
    assert stats.kstest(places, "uniform").pvalue > 0.001


def test_events_are_those_of_the_signal():
    """Against events thrown uniformly in energy and weighted to the spectrum."""
    point = SEEN.benchmark_signal
    source = drawn.of_signal(SEEN, point)
    sample = physics_report.throw(Plan(SEEN), "NR", 20_000)
    low, high = sample.range_keV
    weights = point.rate(sample.energy_keV) * (high - low) / len(sample.energy_keV) * sample.kept
    per_ty, error = weights.sum(), physics_report.standard_error(weights, len(weights))
    found = drawn.selected_per_ty(SEEN, source)
    share = found / source.per_ty
    assert abs(found / per_ty - 1) < 3 * np.hypot(error / per_ty, np.sqrt((1 - share) / share / drawn.PILOT))
    made = drawn.exactly(SEEN, source, 3000, ("test",))
    for name in ("cs1_pe", "cs2_pe"):
        expected = np.average(np.log(np.maximum(sample.columns[name], 1)), weights=weights)
        values = np.log(made[name])
        error = values.std() * np.sqrt(1 / 3000 + 1 / (weights.sum() ** 2 / np.square(weights).sum()))
        assert abs(values.mean() - expected) < 4 * error
    exposed = [len(drawn.exposed(SEEN, source, 50 / found, ("test", i))["selected"]) for i in range(20)]
    assert abs(np.mean(exposed) - 50) < 4 * np.sqrt(50 / 20 + (2.5) ** 2 / 20)


def of_strax(path, n=20):
    """A list with pulses, as a structured array or as Parquet, by its name."""
    tpc = study.load(TINY).detector.constants
    columns, readout = events.simulate(tpc, "ER", np.linspace(2, 10, n), "salted pulses")
    table = {
        "cs1_pe": columns["cs1_pe"].astype(np.float32), "cs2_pe": columns["cs2_pe"],
        "z": columns["z_cm"] - tpc.drift_length_cm, "time": np.arange(n),
        "s1_data": readout.s1_waveform, "s1_dt": np.full(n, tpc.s1_sample_ns, np.int32),
        "s2_data": readout.s2_waveform, "s2_dt": np.full(n, tpc.s2_sample_ns, np.int32),
        "s2_area_per_channel": np.concatenate([readout.s2_top, readout.s2_bottom], axis=1),
    }  # fmt: skip
    if path.suffix == ".parquet":
        pq.write_table(pa.table({name: list(values) for name, values in table.items()}), path)
        return path
    array = np.zeros(n, [(name, values.dtype, values.shape[1:]) for name, values in table.items()])
    for name, values in table.items():
        array[name] = values
    np.save(path, array)
    return path


@pytest.mark.parametrize("suffix", [".npy", ".parquet"])
def test_salt_has_the_pulses_and_the_types_of_the_list(tmp_path, suffix):
    parsed = study.load(TINY)
    listed = of_strax(tmp_path / f"list{suffix}")
    into, key = salted(listed, "salted", 5, 3.0, parsed)
    assert key.rows
    if suffix == ".npy":
        one, other = np.load(listed), np.load(into)
        assert other.dtype == np.dtype([(name, one.dtype[name]) for name in one.dtype.names if name != "time"])
    else:
        schema = pq.read_schema(listed)
        assert pq.read_schema(into).equals(schema.remove(schema.get_field_index("time")))
    tpc = parsed.detector.constants
    seen = event_list.read(into, tpc, needed=vector.COLUMNS)
    hidden = np.isin(seen.row, key.rows)
    areas = seen.columns["s2_waveform"].sum(axis=1) / seen.columns["s2_top"].sum(axis=1)
    assert abs(areas[hidden].mean() / areas[~hidden].mean() - 1) < 0.1
    assert (seen.columns["z_cm"][hidden] < 0).all() and (seen.columns["z_cm"] > -tpc.drift_length_cm).all()
    assert len(vector.features(seen.only(hidden).readout, tpc)) == len(key.rows)


def test_nothing_is_revealed_of_what_was_changed(listed):
    into, key = salted(listed, "salted", 3)
    path = salt.key_of(into)
    assert salt.notes(listed) == [] and "this list is salted" in salt.notes(into)[0]
    sealed_key = path.read_bytes()
    other, _ = salted(listed, "other", 4)
    with pytest.raises(BadInput, match="is not the key that was sealed"):
        salt.reveal(into, salt.key_of(other))
    path.write_bytes(sealed_key.replace(b'"seed":"3"', b'"seed":"9"'))
    with pytest.raises(BadInput, match="its seal does not fit"):
        salt.reveal(into, path)
    with pytest.raises(BadInput, match="its key: no such file"):
        salt.reveal(into, path.with_name("none.json"))
    path.write_bytes(sealed_key)
    into.write_bytes(into.read_bytes() + b"\n")
    with pytest.raises(BadInput, match="is not as it was salted"):
        salt.reveal(into, path)
    assert "of another list" in salt.notes(into)[0]
    with pytest.raises(BadInput, match="is not said to be salted"):
        salt.reveal(listed, path)


def test_the_commands(run_here, listed):
    said = run_here("salt", STUDIES / "seen.toml", listed, "--into", "salted.csv", "--key", "away.json").stdout
    expected = EXPOSURE_TY * drawn.selected_per_ty(SEEN, drawn.of_signal(SEEN, SEEN.benchmark_signal))
    assert f"a Poisson number about {expected:.3g}" in said and "rows" not in said
    told = run_here("salt", "salted.csv", "--reveal", "--key", "away.json").stdout
    assert f"of {expected:.3g} expected, of a signal at sigma_si_cm2 = 1e-46, m_chi_GeV = 40" in told
    again = run_here("salt", STUDIES / "seen.toml", listed, "--into", "salted.csv", check=2).stderr
    assert "salted.csv is there already; nothing is written over" in again


@pytest.mark.parametrize(
    "arguments, content, said",
    [
        ((), "s1c_phd,log10_s2c_phd\n", "it holds no event"),
        ((), "s1c_phd\n4\n", "no column for cs2; would do: cs2_pe"),
        (("--events", "0"), None, "0 hidden events are expected; it must be above 0"),
        ((), "s1c_phd,log10_s2c_phd,event_number\n4,3.5,1\n5,3.6,2\n", "no run has a number in event_number"),
        (("--into", "salted.parquet"), None, "ends as that of the list does, in .csv"),
        (("--into", "none/salted.csv"), None, "there is no folder"),
        (("--events", "1", "--set", "benchmark.m_chi_GeV=2", "--set", "confirm=['wimp_si','m_chi_GeV']"), None,
         "are in the study's selection; at least"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(run_here, listed, tmp_path, arguments, content, said):
    if content is not None:
        listed.write_text(content)
    into = () if "--into" in arguments else ("--into", "salted.csv")
    done = run_here("salt", STUDIES / "seen.toml", listed, *into, "--seed", 1, *arguments, check=2)
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if "salted" in path.name]
