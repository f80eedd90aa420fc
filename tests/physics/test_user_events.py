"""A user's events as a background: what a table gives, what it refuses, and what names it."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine import schemas
from engine.errors import BadInput
from engine.physics import event_table, events, spectra
from engine.physics.detectors import darwin
from engine.physics.representations import vector
from engine.physics.spectra import user_events

WINDOW = (2.0, 10.0)
N = 60
CES = np.linspace(0.0, 15.0, N)  # 32 of them in the window


def features(n=N, length=8):
    return (np.arange(n * length) % 251).astype(np.uint16).reshape(n, length)


def configure(path, **fields):
    return spectra.configure(user_events, {"path": str(path), "rate_per_ty": 3.2} | fields)


def write(path, **columns):
    """A table as a user may write it, with features unless given."""
    columns = {"features": pa.FixedSizeListArray.from_arrays(pa.array(features().ravel()), 8)} | columns
    pq.write_table(pa.table(columns), path, row_group_size=7)
    return path


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "t.parquet", ces_keVee=CES)


def test_shares_are_of_the_events_in_the_window_and_sum_to_one(table):
    share = user_events.weights(configure(table), WINDOW)
    inside = (CES >= 2) & (CES < 10)
    np.testing.assert_allclose(share, inside / inside.sum())


def test_a_table_that_is_selected_already_needs_no_energy(tmp_path):
    options = configure(write(tmp_path / "t.parquet"), window="none")
    np.testing.assert_allclose(user_events.weights(options, WINDOW), 1 / N)


def test_weights_and_an_own_selection_count(tmp_path):
    weight, selected = np.arange(N) % 3.0, np.arange(N) % 2 == 0
    options = configure(write(tmp_path / "t.parquet", ces_keVee=CES, weight=weight, selected=selected))
    expected = weight * selected * ((CES >= 2) & (CES < 10))
    np.testing.assert_allclose(user_events.weights(options, WINDOW), expected / expected.sum())


@pytest.mark.parametrize(("start", "n"), [(0, N), (0, 5), (7, 7), (13, 20), (55, 5)])
def test_rows_are_those_of_the_file_whatever_its_row_groups(tmp_path, start, n):
    options = configure(write(tmp_path / "t.parquet", ces_keVee=CES, z_cm=pa.array(np.arange(N), pa.int32())))
    columns, read = user_events.read(options, start, n)
    np.testing.assert_array_equal(read, features()[start : start + n])
    np.testing.assert_array_equal(columns["ces_keVee"], CES[start : start + n])
    np.testing.assert_array_equal(columns["z_cm"], np.arange(start, start + n))
    assert np.isnan(columns["energy_keV"]).all() and set(columns) == {"ces_keVee", *schemas.TRUTH}


def test_identity_follows_the_content_and_not_the_path(tmp_path, table):
    first = spectra.identity(user_events, configure(table))
    assert first == spectra.identity(user_events, configure(write(tmp_path / "copy.parquet", ces_keVee=CES)))
    assert str(tmp_path) not in str(first)
    other = configure(write(tmp_path / "other.parquet", ces_keVee=CES + 0.1))
    assert first != spectra.identity(user_events, other)
    assert user_events.source(configure(table)) != user_events.source(other)


def test_another_rate_is_another_component_of_the_same_events(table):
    one, other = configure(table), configure(table, rate_per_ty=5.0, relative_uncertainty=0.3)
    assert spectra.identity(user_events, one) != spectra.identity(user_events, other)
    assert user_events.source(one) == user_events.source(other) != user_events.source(configure(table, window="none"))
    assert spectra.describe(user_events, other) == ("USER", 0.3)


def test_the_columns_have_a_schema_with_unit_and_meaning():
    assert {"features", "ces_keVee", "weight", *schemas.TRUTH} == set(schemas.USER_EVENTS.names)
    assert all(field.metadata[b"meaning"] for field in schemas.USER_EVENTS)
    assert [field.name for field in schemas.USER_EVENTS if not field.nullable] == ["features"]


# What is refused


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, "needs one column 'ces_keVee'; found: features"),
        ({"ces_keVee": ["a"] * N}, "ces_keVee holds string, not numbers"),
        ({"ces_keVee": CES, "selected": ["true"] * N}, "selected holds string; expected bool: true or false"),
        ({"ces_keVee": CES, "weight": [{"a": 1}] * N}, "weight holds struct<a: int64>, not numbers"),
        ({"ces_keVee": CES, "features": pa.array([[1, 2]] * N)}, "features holds list<.*expected a fixed_size_list"),
        ({"ces_keVee": CES, "features": pa.FixedSizeListArray.from_arrays(pa.array(np.ones(2 * N)), 2)},
         r"features holds fixed_size_list<.*double.*as uint16"),
    ],
)  # fmt: skip
def test_bad_columns_are_refused_with_the_options(tmp_path, columns, message):
    with pytest.raises(BadInput, match=message) as caught:
        configure(write(tmp_path / "t.parquet", **columns))
    assert "\n" not in str(caught.value)


def test_bad_files_are_refused_with_the_options(tmp_path):
    with pytest.raises(BadInput, match="no such file: .*none.parquet"):
        configure(tmp_path / "none.parquet")
    (tmp_path / "t.parquet").write_text("ces_keVee\n1\n")
    with pytest.raises(BadInput, match="t.parquet: not a Parquet file"):
        configure(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rate_per_ty": -1.0}, "user_events.rate_per_ty: .*greater than 0 .given: -1.0"),
        ({"relative_uncertainty": -0.1}, "user_events.relative_uncertainty: .*greater than or equal to 0"),
        ({"window": "s1"}, "user_events.window: .*'ces' or 'none' .given: 's1'"),
        ({"rate": 1.0}, "unknown option of 'user_events' 'rate'; did you mean 'rate_per_ty'"),
    ],
)
def test_bad_options(table, fields, message):
    with pytest.raises(BadInput, match=message):
        configure(table, **fields)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ces_keVee": np.where(np.arange(N) == 4, np.nan, CES)}, "row 5: ces_keVee nan is not a finite number"),
        ({"ces_keVee": CES, "weight": np.where(np.arange(N) == 9, -1.0, 1.0)}, "row 10: weight -1.0 is negative"),
        ({"ces_keVee": CES, "weight": np.full(N, np.inf)}, "row 1: weight inf is not a finite number"),
        ({"ces_keVee": CES, "selected": pa.array([True, None] * (N // 2))}, "row 2: selected nan is not a finite"),
        ({"ces_keVee": CES + 20}, r"needs at least 2 events with ces_keVee in \[2, 10\), found 0 of 60"),
        ({"ces_keVee": CES, "weight": np.zeros(N)}, "found 0 of 60"),
        ({"ces_keVee": np.where(np.arange(N) == 4, 5.0, 1.0)}, "found 1 of 60"),
    ],
)
def test_bad_numbers_are_refused_before_they_weigh(tmp_path, columns, message):
    with pytest.raises(BadInput, match=message):
        user_events.weights(configure(write(tmp_path / "t.parquet", **columns)), WINDOW)


@pytest.mark.parametrize("hole", ["an event", "a number"])
def test_features_have_no_holes(tmp_path, hole):
    rows = [list(map(int, row)) for row in features()]
    if hole == "an event":
        rows[3] = None
    else:
        rows[3][2] = None
    path = write(tmp_path / "t.parquet", ces_keVee=CES, features=pa.array(rows, pa.list_(pa.uint16(), 8)))
    with pytest.raises(BadInput, match="10 rows from 1"):
        user_events.read(configure(path), 0, 10)


# What a user can write


def simulated(kind, n=300, key="written"):
    return events.simulate(darwin.CONSTANTS, kind, np.linspace(0.5, 40, n), (key, kind))


def test_simulated_events_come_back_as_they_were(tmp_path):
    columns, readout = simulated("NR")
    seen, weight = columns["registered"], np.linspace(1, 2, 300)
    event_table.write(tmp_path / "t.parquet", vector.features(readout, darwin.CONSTANTS), columns, weight)
    options = configure(tmp_path / "t.parquet")
    assert 0 < seen.sum() < 300 and user_events.n_rows(options) == seen.sum()
    read, found = user_events.read(options, 0, int(seen.sum()))
    np.testing.assert_array_equal(found, vector.features(readout, darwin.CONSTANTS)[seen])
    for name in set(schemas.TRUTH) - {"energy_keV"}:
        np.testing.assert_array_equal(read[name], columns[name][seen])
    inside = (columns["ces_keVee"][seen] >= 2) & (columns["ces_keVee"][seen] < 10)
    expected = weight[seen] * inside
    np.testing.assert_allclose(user_events.weights(options, WINDOW), expected / expected.sum())


def test_accidental_pairs_have_the_s1_of_one_event_and_the_s2_of_another(tmp_path):
    (_, first), (columns, second) = simulated("ER", 50, "one"), simulated("ER", 50, "other")
    s1 = {field.name: getattr(first, field.name) for field in dataclasses.fields(first) if field.name.startswith("s1")}
    pairs = vector.features(dataclasses.replace(second, **s1), darwin.CONSTANTS)
    event_table.write(tmp_path / "t.parquet", pairs, {"ces_keVee": columns["ces_keVee"]})
    _, found = user_events.read(configure(tmp_path / "t.parquet"), 0, 50)
    n_s1 = darwin.CONSTANTS.s1_samples
    np.testing.assert_array_equal(found[:, :n_s1], vector.features(first, darwin.CONSTANTS)[:, :n_s1])
    np.testing.assert_array_equal(found[:, n_s1:], vector.features(second, darwin.CONSTANTS)[:, n_s1:])


def test_columns_of_another_length_are_refused(tmp_path):
    with pytest.raises(ValueError, match="7 values of ces_keVee for 60 events"):
        event_table.write(tmp_path / "t.parquet", features(), {"ces_keVee": CES[:7]})


def test_a_damaged_table_is_one_line(table):
    content = table.read_bytes()
    for cut in (0, 4, 300, len(content) // 2, len(content) - 9, len(content) - 1):
        for damaged in (content[:cut], content[:cut] + bytes(len(content) - cut), content[:cut] + content[cut + 1 :]):
            table.write_bytes(damaged)
            with pytest.raises(BadInput) as caught:
                user_events.weights(configure(table), WINDOW)
            assert "\n" not in str(caught.value) and len(str(caught.value)) <= 400


def test_more_rows_than_are_read_are_refused(table, monkeypatch):
    monkeypatch.setattr(user_events, "MOST_ROWS", N - 1)
    with pytest.raises(BadInput, match=f"{N} rows; at most {N - 1} are read"):
        configure(table)
