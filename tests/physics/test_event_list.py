"""Lists of observed events: any way that a file may be written gives the same events, and what cannot be is refused."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import BadInput
from engine.physics import event_list, events
from engine.physics.detectors import lz_ws2024

TPC = lz_ws2024.CONSTANTS
PE_PER_PHD = events.mean_charge(TPC)
CS1, LOG10_CS2 = np.array([3.5, 20.25, 79.0]), np.array([3.25, 4.0, 4.125])
LZ = "s1c_phd,log10_s2c_phd\n" + "".join(f"{x},{y}\n" for x, y in zip(CS1, LOG10_CS2, strict=True))


def read(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return event_list.read(path, TPC, **options)


@pytest.fixture
def csv(tmp_path):
    return tmp_path / "list.csv"


def test_photons_detected_become_photoelectrons_by_their_mean_charge(csv):
    seen = read(csv, LZ)
    np.testing.assert_allclose(seen.columns["cs1_pe"], CS1 * PE_PER_PHD)
    np.testing.assert_allclose(seen.columns["cs2_pe"], 10**LOG10_CS2 * PE_PER_PHD)
    assert PE_PER_PHD == pytest.approx(1 + TPC.double_pe_probability, rel=0.01)
    assert seen.row.tolist() == [1, 2, 3] and seen.n_listed == 3
    # CES = W (cS1 / g1 + cS2 / g2), of photons detected
    np.testing.assert_allclose(seen.columns["ces_keVee"] / (CS1 / TPC.g1 + 10**LOG10_CS2 / TPC.g2), 0.0135, rtol=0.02)


def structured():
    rows = list(zip(CS1.tolist(), (10**LOG10_CS2).tolist(), ["a", "b", "c"], strict=True))
    array = np.array(rows, dtype=[("cs1_phd", "<f4"), ("cs2_phd", "<f8"), ("run_id", "U3")])
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


def parquet(*types, **more):
    columns = {"s1c_phd": pa.array(CS1.astype(types[0])), "log10_s2c_phd": pa.array(LOG10_CS2.astype(types[1]))}
    sink = io.BytesIO()
    pq.write_table(pa.table(columns | {"__index_level_0__": pa.array([7, 8, 9])} | more), sink)
    return sink.getvalue()


WAYS = {
    "a BOM and CR LF": ("list.csv", b"\xef\xbb\xbf" + LZ.replace("\n", "\r\n").encode()),
    "spaces, another order, an index": ("list.csv", ",log10_s2c_phd , s1c_phd\n" + "".join(
        f"{i},{y},{x}\n" for i, (x, y) in enumerate(zip(CS1, LOG10_CS2, strict=True)))),
    "PE, linear": ("list.csv", "cs1_pe,cs2_pe\n" + "".join(
        f"{x * PE_PER_PHD!r},{10**y * PE_PER_PHD!r}\n" for x, y in zip(CS1.tolist(), LOG10_CS2.tolist(), strict=True))),
    "half and single precision": ("list.parquet", parquet("float16", "float32")),
    "a structured array": ("list.npy", structured()),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_however_a_list_is_written_its_events_are_the_same(tmp_path, way):
    name, content = WAYS[way]
    one, same = read(tmp_path / "list.csv", LZ), read(tmp_path / f"other_{name}", content)
    for column in ("cs1_pe", "cs2_pe"):
        np.testing.assert_allclose(same.columns[column], one.columns[column], rtol=1e-6)
    assert (same.data == one.data) == (way != "PE, linear")  # known by its own numbers, whatever unit they have


def test_a_list_is_known_whatever_the_order_of_its_rows_and_another_is_not(csv):
    header, *rows = LZ.splitlines(keepends=True)
    known = read(csv, LZ).data
    assert read(csv, header + "".join(rows[::-1])).data == known
    assert read(csv, header + "".join(rows[:-1])).data != known


def test_a_study_may_map_names_and_labels_follow(csv):
    content = "S1,S2,run_id,event_number\n4,1000,r1,12\n5,1200,r2,13\n"
    seen = read(csv, content, columns={"cs1_phd": "S1", "cs2_phd": "S2"})
    np.testing.assert_allclose(seen.columns["cs1_pe"], np.array([4, 5]) * PE_PER_PHD)
    kept = seen.only(np.array([False, True]))
    assert (kept.labels["run_id"].tolist(), kept.labels["event_number"].tolist()) == (["r2"], ["13"])
    assert kept.row.tolist() == [2] and kept.n_listed == 2 and kept.content != seen.content


def test_the_s2_of_a_bottom_array_is_that_of_a_detector_that_says_so(csv):
    content = "cs1_pe,cs2_bottom_pe\n10,1000\n"
    assert read(csv, content, s2_array="bottom").columns["cs2_pe"].tolist() == [1000]
    assert read(csv, content, columns={"cs2_pe": "cs2_bottom_pe"}).columns["cs2_pe"].tolist() == [1000]
    for other, array in ((content, "both"), ("cs1_pe,cs2_pe\n10,1000\n", "bottom")):
        with pytest.raises(BadInput, match="is not what this detector sees of the S2"):
            read(csv, other, s2_array=array)


def test_a_drift_time_in_nanoseconds(csv):
    seen = read(csv, "cs1_pe,cs2_pe,drift_time_ns\n10,1000,250000\n", needed=("drift_us",))
    assert seen.columns["drift_us"].tolist() == [250.0]


@pytest.mark.parametrize(
    "content, said",
    [
        ("", "not a table of events"),
        ("s1c_phd,log10_s2c_phd\n", "it holds no event"),
        ("log10_s2c_phd\n3.5\n", "no column for cs1; would do: cs1_pe, cs1_phd, s1c_pe, s1c_phd"),
        ("s1c_phd,cs2\n3.5,1000\n", "no column for cs2; would do: cs2_pe"),
        ("s1c_phd,cs1_pe,cs2_pe\n4,5,1000\n", "cs1_pe and s1c_phd are both cs1"),
        ("s1c_phd,s1c_phd,cs2_pe\n4,5,1000\n", "needs one column 's1c_phd'"),
        ("s1c_phd,cs2_pe\n4,1000\n-1,1000\n", "row 2: s1c_phd -1.0 is negative"),
        ("s1c_phd,cs2_pe\n4,1000\n5,\n", "row 2: cs2_pe is empty"),
        ("s1c_phd,cs2_pe\n4,1000\n5,inf\n", "row 2: cs2_pe inf is not a finite number"),
        ("s1c_phd,cs2_pe\n4,much\n", "cs2_pe holds string, not numbers"),
        ("s1c_phd,cs2_phd\n4,3.5\n5,4.1\n", "cs2_phd is 4.1 at most, as a log10 would be"),
        ("s1c_phd,log10_cs2_phd\n4,3162\n", "log10_cs2_phd 3162.0 is no log10 of an area"),
        ("s1c_phd,cs2_pe\n4,1000,7\n", "not a table of events"),
        (b"\xff\xfes\x001\x00", "UTF-16"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(csv, content, said):
    with pytest.raises(BadInput, match=said.replace("(", r"\(")) as refused:
        read(csv, content)
    assert "\n" not in str(refused.value)


def test_other_files_are_refused(tmp_path):
    for name, content, said in (
        ("list.root", b"root", "unknown kind of an event list"),
        ("list.parquet", b"PAR1", "not a table of events"),
        ("list.npy", b"\x93NUMPY", "not a table of events"),
    ):
        with pytest.raises(BadInput, match=said):
            read(tmp_path / name, content)
    with pytest.raises(BadInput, match="no such file"):
        event_list.read(tmp_path / "none.csv", TPC)
    sink = io.BytesIO()
    pq.write_table(pa.table({"s1c_phd": [4.0, None], "log10_s2c_phd": [3.0, 3.1]}), sink)
    with pytest.raises(BadInput, match="row 2: s1c_phd is empty"):
        read(tmp_path / "nulls.parquet", sink.getvalue())
    with pytest.raises(BadInput, match="no column for drift"):
        read(tmp_path / "list.csv", LZ, needed=("drift_us",))
    with pytest.raises(BadInput, match="needs one column 'S1'"):
        read(tmp_path / "list.csv", LZ, columns={"cs1_phd": "S1"})
    with pytest.raises(BadInput, match="did you mean 'cs1_phd'"):
        event_list.check_names({"cs1_pdh": "S1"})
