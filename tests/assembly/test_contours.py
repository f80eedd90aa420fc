"""Contours of planes whose answer is known, and what is said where there is none."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from scipy.stats import norm

from engine.assembly.contours import contours, fields, read_curve, write_csv
from engine.errors import BadInput
from engine.physics.spectra.wimp_si import SIZE
from engine.size import STRENGTH

SIGMAS = [1e-49, 1e-48, 1e-47, 1e-46]


def make_table(z, sigmas=SIGMAS, m=50.0, tail=None, spread=1.1, R=0.0):
    p = norm.sf(z)
    tails = tail or ["counted"] * len(sigmas)
    return pa.Table.from_pylist([
        {"exposure_ty": 200.0, "statistic": "tail_count", "models": "classifier = mlp",
         "score": "classifier", "R": R, "rates": "idealised", "m_chi_GeV": m, "sigma_si_cm2": s, "z_median": zi,
         "tail": t, "p_low": pi / spread, "p_high": min(pi * spread, 1.0)}
        for s, zi, pi, t in zip(sigmas, z, p, tails, strict=True)
    ], schema=SCHEMA)  # fmt: skip


TEXT = ("statistic", "models", "score", "rates", "tail")
NUMBERS = ("exposure_ty", "R", "m_chi_GeV", "sigma_si_cm2", "z_median", "p_low", "p_high")
SCHEMA = pa.schema([(name, pa.string()) for name in TEXT] + [(name, pa.float64()) for name in NUMBERS])


def one(table, level=2.0):
    (row,) = contours(table, SIZE, (level,)).to_pylist()
    return row


def test_a_plane_linear_in_log_sigma_is_recovered_exactly_for_every_mass():
    sigmas, masses = np.geomspace(1e-49, 1e-45, 7), [10.0, 50.0, 1000.0]
    tables = [make_table(1.3 * (np.log10(sigmas) + 49) - 0.001 * m, sigmas, m=m) for m in masses]
    shuffled = pa.concat_tables(tables).take(np.random.default_rng(1).permutation(21))
    found = contours(shuffled, SIZE)
    assert found.num_rows == 9
    assert found.select(["m_chi_GeV", "level_sigma"]).to_pylist()[:2] == [
        {"m_chi_GeV": 10.0, "level_sigma": 1.0},
        {"m_chi_GeV": 10.0, "level_sigma": 2.0},
    ]
    m, level = found["m_chi_GeV"].to_numpy(), found["level_sigma"].to_numpy()
    np.testing.assert_allclose(found["sigma_si_cm2"], 10 ** ((level + 0.001 * m) / 1.3 - 49), rtol=1e-12)
    assert set(found["status"].to_pylist()) == {"found"}


def test_the_errors_enclose_the_contour():
    row = one(make_table([0.1, 0.9, 2.4, 3.3]))
    assert row["sigma_si_low_cm2"] < row["sigma_si_cm2"] < row["sigma_si_high_cm2"]
    row = one(make_table([0.1, 0.9, 2.4, 3.3], spread=1.0))
    np.testing.assert_allclose([row["sigma_si_low_cm2"], row["sigma_si_high_cm2"]], row["sigma_si_cm2"], rtol=1e-12)


@pytest.mark.parametrize(
    ("z", "tail", "status"),
    [
        ([0, 1, 3, 4], "cccc", "found"),
        ([0, 0.5, 1, 1.9], "cccc", "above_grid"),
        ([2, 3, 4, 5], "cccc", "below_grid"),
        ([0, 1, 3, 3], "ccbb", "bound_limited"),
        ([0, 1, 3, 3.5], "cccb", "found"),
        ([0, 1, 1.5, 1.5], "ccbb", "bound_limited"),
    ],
)
def test_status_says_what_the_grid_allows(z, tail, status):
    names = {"c": "counted", "b": "bound"}
    row = one(make_table(z, tail=[names[letter] for letter in tail]))
    assert row["status"] == status
    bracketed = min(z) < 2 <= z[-1]
    assert (row["sigma_si_cm2"] is not None) == bracketed


def test_a_curve_that_falls_back_is_crossed_where_it_rises_for_good():
    row = one(make_table([2.5, 1.0, 3.0, 4.0]))
    assert row["sigma_si_cm2"] == pytest.approx(10**-47.5)
    assert one(make_table([2.5, 3.0, 4.0, 1.0]))["status"] == "above_grid"


def test_a_level_met_on_a_grid_point_is_that_point():
    assert one(make_table([0.0, 2.0, 3.0, 4.0]))["sigma_si_cm2"] == pytest.approx(1e-48, rel=1e-12)


def test_sigma_zero_and_missing_z_take_no_part():
    plain = one(make_table([0.0, 1.0, 3.0, 4.0]))
    with_zero = one(make_table([0.0, 0.0, 1.0, 3.0, 4.0], [0.0, *SIGMAS]))
    with_gap = one(make_table([0.0, 1.0, np.nan, 3.0, 4.0], [1e-49, 1e-48, 3e-48, 1e-47, 1e-46]))
    assert plain == with_zero == with_gap
    assert one(make_table([0.0, 3.0], [0.0, 1e-48]))["status"] == "below_grid"


def test_certain_p_values_move_the_crossing_to_a_grid_point():
    """p_high = 1 has z = -inf, p_low = 0 has z = +inf: the errors then reach the bracketing points."""
    table = make_table([0.0, 1.0, 3.0, 4.0])
    table = table.set_column(table.schema.get_field_index("p_low"), "p_low", [[0.4, 0.15, 0.0, 0.0]])
    table = table.set_column(table.schema.get_field_index("p_high"), "p_high", [[1.0, 1.0, 0.002, 1e-4]])
    row = one(table)
    assert row["sigma_si_low_cm2"] == pytest.approx(1e-48)
    assert row["sigma_si_high_cm2"] == pytest.approx(1e-47)


def test_settings_keep_apart_and_two_rows_for_one_point_are_refused():
    low, high = make_table([0, 1, 3, 4]), make_table([0, 0, 1, 3], R=1e5)
    both = contours(pa.concat_tables([high, low]), SIZE, (2.0,))
    assert both["R"].to_pylist() == [0.0, 1e5]
    assert both["sigma_si_cm2"][0].as_py() < both["sigma_si_cm2"][1].as_py()
    with pytest.raises(BadInput, match="two rows for one sigma_si_cm2"):
        contours(pa.concat_tables([low, low]), SIZE)


def test_an_empty_table_has_empty_contours_of_the_same_columns():
    empty = contours(make_table([], []), SIZE)
    assert empty.num_rows == 0
    assert empty.schema == contours(make_table([0, 1, 3, 4]), SIZE).schema


def test_columns_are_named_by_what_the_signal_is_linear_in():
    of_wimp, of_strength = ([field.name for field in fields(size)] for size in (SIZE, STRENGTH))
    assert of_wimp[1:4] == ["sigma_si_cm2", "sigma_si_low_cm2", "sigma_si_high_cm2"]
    assert of_strength[1:4] == ["strength", "strength_low", "strength_high"] and of_wimp[4:] == of_strength[4:]
    plane = make_table([0.1, 0.9, 2.4, 3.3])
    renamed = plane.rename_columns(["strength" if name == SIZE.name else name for name in plane.column_names])
    (row,), same = contours(renamed, STRENGTH, (2.0,)).to_pylist(), one(plane)
    assert [row[name] for name in of_strength] == [same[name] for name in of_wimp] and row["bracket_high"] == 1e-47


def test_csv_reads_back(tmp_path):
    found = contours(make_table([0, 1, 2.5, 2.8]), SIZE)
    text = write_csv(found)
    assert text == write_csv(found)
    (tmp_path / "contours.csv").write_bytes(text)
    back = pa.csv.read_csv(tmp_path / "contours.csv")
    assert back.column_names == found.column_names
    assert back["sigma_si_cm2"].to_pylist() == found["sigma_si_cm2"].to_pylist()


HEADER = "m_chi_GeV,sigma_si_cm2\n"


@pytest.mark.parametrize("head", ["", HEADER, "\ufeff# DARWIN 2016\n\n" + HEADER])
def test_a_curve_is_read_in_file_order(tmp_path, head):
    path = tmp_path / "limit.csv"
    path.write_text(head + "50,2e-49\n10, 1e-48\n", encoding="utf-8")
    m, sigma = read_curve(path)
    assert m.tolist() == [50.0, 10.0]
    assert sigma.tolist() == [2e-49, 1e-48]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("10,1e-48\n20,abc\n", r"limit\.csv, line 2: sigma_si_cm2 = 'abc'; wanted a positive number"),
        ("10,1e-48\n-3,1e-48\n", r"line 2: m_chi_GeV = '-3'"),
        ("10,nan\n", r"line 1: sigma_si_cm2 = 'nan'"),
        ("# one\n10,1e-48,3\n", r"line 2: 3 columns in '10,1e-48,3'; wanted m_chi_GeV,sigma_si_cm2"),
        ("sigma_si_cm2,m_chi_GeV\n1e-48,10\n", r"line 1: m_chi_GeV = 'sigma_si_cm2'"),
        ("m_chi_GeV,sigma_si_cm2\n", "no points"),
    ],
)
def test_a_bad_curve_names_file_line_and_value(tmp_path, text, complaint):
    (tmp_path / "limit.csv").write_text(text)
    with pytest.raises(BadInput, match=complaint):
        read_curve(tmp_path / "limit.csv")


def test_a_missing_curve_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="no such file: .*no.csv"):
        read_curve(tmp_path / "no.csv")
    with pytest.raises(BadInput, match="is a folder"):
        read_curve(tmp_path)
    (tmp_path / "long.csv").write_text("10," + "1" * 140_000)
    with pytest.raises(BadInput, match="not a CSV table: field larger than"):
        read_curve(tmp_path / "long.csv")
