"""Lists with pulses, as strax writes them: a network sees of a simulated event in one what it saw in the simulation."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import BadInput
from engine.physics import event_list, event_pulses, events
from engine.physics.detectors import darwin
from engine.physics.representations import image, summary, vector

TPC, N = darwin.CONSTANTS, 40
NEEDED = tuple(dict.fromkeys((*vector.COLUMNS, *image.COLUMNS, *summary.COLUMNS)))


@pytest.fixture(scope="module")
def simulated():
    """Columns and readout of a few events."""
    return events.simulate(TPC, "ER", np.linspace(2, 12, N), "pulses of a list")


@pytest.fixture(scope="module")
def records(simulated):
    """The same events as columns of a list."""
    columns, readout = simulated
    return {name: columns[name] for name in ("cs1_pe", "cs2_pe", "drift_us")} | {
        "s1_data": readout.s1_waveform, "s1_dt": np.full(N, int(TPC.s1_sample_ns)),
        "s2_data": readout.s2_waveform, "s2_dt": np.full(N, int(TPC.s2_sample_ns)),
        "s1_area_per_channel": np.concatenate([readout.s1_top, readout.s1_bottom], axis=1),
        "s2_area_per_channel": np.concatenate([readout.s2_top, readout.s2_bottom], axis=1),
    }  # fmt: skip


def structured(path, columns):
    array = np.zeros(N, [(name, values.dtype, values.shape[1:]) for name, values in columns.items()])
    for name, values in columns.items():
        array[name] = values
    np.save(path, array)
    return path


def trimmed(path, columns):
    """Parquet whose lists end with the last sample that is not zero."""
    table = {name: [np.trim_zeros(row, "b") for row in values] if name.endswith("data") else list(values)
             for name, values in columns.items()}  # fmt: skip
    pq.write_table(pa.table(table), path)
    return path


@pytest.mark.parametrize("name, write", [("list.npy", structured), ("list.parquet", trimmed)])
def test_networks_see_of_a_list_what_they_saw_in_the_simulation(simulated, records, tmp_path, name, write):
    seen = event_list.read(write(tmp_path / name, records), TPC, needed=NEEDED)
    for view in (vector, image, summary):
        expected = view.features(simulated[1], TPC)
        np.testing.assert_array_equal(view.features(seen.readout, TPC), expected)
        some = np.arange(N) % 3 == 0
        np.testing.assert_array_equal(view.features(seen.only(some).readout, TPC), expected[some])
    assert np.ptp(vector.features(seen.readout, TPC).astype(float), axis=0).max() > 10  # events that differ


def test_pulses_that_no_model_reads_are_no_part_of_a_list(records, tmp_path):
    plain = event_list.read(structured(tmp_path / "list.npy", records), TPC)
    assert set(plain.columns) == {"cs1_pe", "cs2_pe", "drift_us", "ces_keVee"}
    assert plain.readout.s2_waveform.shape == (N, 0)


def test_a_waveform_of_another_sample_width_keeps_its_charge(simulated, records, tmp_path):
    finer = np.repeat(records["s1_data"] / 4, 4, axis=1)
    changed = records | {"s1_data": finer, "s1_dt": np.full(N, TPC.s1_sample_ns / 4)}
    seen = event_list.read(structured(tmp_path / "list.npy", changed), TPC, needed=("s1_waveform",))
    np.testing.assert_allclose(seen.columns["s1_waveform"], simulated[1].s1_waveform, atol=1e-4)
    coarse = event_pulses.sampled(np.array([[3.0, 1.0]], np.float32), np.array([20.0]), 10.0, 6)
    np.testing.assert_allclose(coarse, [[1.5, 1.5, 0.5, 0.5, 0, 0]])
    assert event_pulses.sampled(np.ones((1, 3), np.float32), np.array([20.0]), 30.0, 2).tolist() == [[1.5, 1.5]]
    assert event_pulses.sampled(np.ones((1, 3), np.float32), np.array([10.0]), 10.0, 2).tolist() == [[1, 1]]


CHANNELS = sum(len(TPC.pmt_positions_cm(array)) for array in ("top", "bottom"))


@pytest.mark.parametrize(
    "without, changed, said",
    [
        ("s1_data", {}, "no column for s1_waveform; would do: s1_waveform, s1_data, or another by"),
        ("s2_dt", {}, "no column for s2_sample; would do: s2_sample_ns, s2_dt"),
        ("s2_area_per_channel", {}, "no column for s2_area_per_channel; would do: s2_area_per_channel"),
        (None, {"s1_data": np.ones(N)}, "s1_data holds double, not lists of numbers"),
        (None, {"s1_dt": np.arange(N)}, "row 1: s1_dt 0.0 is no width of a sample in ns"),
        (None, {"s2_data": np.where(np.arange(N)[:, None] == 4, np.nan, np.ones((N, 9)))},
         "row 5: s2_data nan is not a finite number"),
        (None, {"s2_area_per_channel": np.ones((N, 494))},
         f"s2_area_per_channel has 494 channels; this detector has {CHANNELS}"),
    ],
)  # fmt: skip
def test_pulses_that_cannot_be_are_refused_in_one_line(records, tmp_path, without, changed, said):
    columns = {name: values for name, values in (records | changed).items() if name != without}
    with pytest.raises(BadInput, match=said.replace("(", r"\(")) as refused:
        event_list.read(structured(tmp_path / "list.npy", columns), TPC, needed=NEEDED)
    assert "\n" not in str(refused.value)


def test_a_text_has_no_pulses(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("cs1_pe,cs2_pe,drift_us,s1_data,s1_dt\n10,1000,50,[1;2],10\n")
    with pytest.raises(BadInput, match=r"s1_data holds string, not lists of numbers, which a .parquet or .npy file"):
        event_list.read(path, TPC, needed=("s1_waveform",))
