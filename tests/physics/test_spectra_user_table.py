"""A user's table as a spectrum: what it gives, what it refuses, and what names its results."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import BadInput
from engine.physics import spectra
from engine.physics.spectra import user_table

TRIANGLE = Path(__file__).parents[1] / "references" / "user_table.csv"
ENERGIES, RATES = [2.0, 4.0, 8.0], [0.0, 4.0, 0.0]


def configure(path, **fields):
    return spectra.configure(user_table, {"path": str(path), "kind": "NR"} | fields)


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


def csv(path, text):
    path.write_text(text)
    return path


@pytest.fixture(params=["csv", "parquet"])
def table(request, tmp_path):
    """Writes a table of two columns in either format; returns its path."""

    def write(energies, rates, name="table"):
        path = tmp_path / f"{name}.{request.param}"
        if request.param == "parquet":
            return parquet(path, energy_keV=pa.array(energies, pa.float64()), rate=pa.array(rates, pa.float64()))
        return csv(path, "energy_keV,rate\n" + "".join(f"{e},{r}\n" for e, r in zip(energies, rates, strict=True)))

    return write


def test_linear_inside_and_zero_outside(table):
    options = configure(table(ENERGIES, RATES))
    energy_keV = np.array([-1.0, 0.0, 1.99, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 8.01, 100.0])
    rate = user_table.rate(energy_keV, **options.model_dump())
    np.testing.assert_allclose(rate, [0, 0, 0, 0, 2, 4, 3, 1, 0, 0, 0], rtol=1e-12)
    fine = np.linspace(0, 10, 10_001)
    assert np.trapezoid(user_table.rate(fine, **options.model_dump()), fine) == pytest.approx(12.0, rel=1e-6)


def test_a_table_from_zero_energy_has_no_recoil_at_zero(table):
    options = configure(table([0.0, 10.0], [5.0, 5.0]))
    rate = user_table.rate(np.array([-0.1, 0.0, 1e-9, 10.0, 10.1]), **options.model_dump())
    np.testing.assert_array_equal(rate, [0, 0, 5, 5, 0])


def test_kind_and_uncertainty_are_the_users(table):
    path = table(ENERGIES, RATES)
    assert spectra.describe(user_table, configure(path)) == ("NR", 0.0)
    assert spectra.describe(user_table, configure(path, kind="ER", relative_uncertainty=0.3)) == ("ER", 0.3)


def test_comments_columns_and_order_do_not_matter(tmp_path):
    text = "\ufeff# mine\nrate , note,energy_keV\n0,a,2\n\n4,b,4\n# half way\n0,c,8\n"
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode())
    assert spectra.identity(user_table, configure(path)) == spectra.identity(user_table, configure(TRIANGLE))


def test_integers_of_parquet_are_numbers(tmp_path):
    path = parquet(tmp_path / "t.parquet", energy_keV=[2, 4, 8], rate=pa.array([0, 4, 0], pa.float32()))
    assert spectra.identity(user_table, configure(path)) == spectra.identity(user_table, configure(TRIANGLE))


def test_identity_follows_the_content_and_not_the_path(table):
    one, copy = table(ENERGIES, RATES), table(ENERGIES, RATES, name="copy")
    first = spectra.identity(user_table, configure(one))
    assert first == spectra.identity(user_table, configure(copy)) and str(one) not in str(first)
    assert first != spectra.identity(user_table, configure(one, kind="ER"))
    assert first != spectra.identity(user_table, configure(one, relative_uncertainty=0.1))
    options = configure(one)
    table(ENERGIES, [0.0, 5.0, 0.0])
    assert spectra.identity(user_table, options) != first
    assert user_table.rate(np.array([4.0]), **options.model_dump())[0] == 5.0


@pytest.mark.parametrize(
    ("energies", "rates", "message"),
    [
        ([2.0, 4.0, 3.0], [0, 1, 0], "row 3: energy_keV 3.0 is below the row before it, 4.0"),
        ([2.0, 4.0, 4.0], [0, 1, 0], "row 3: energy_keV 4.0 repeats the row before it"),
        ([2.0, 4.0, 8.0], [0, -1.5, 0], "row 2: rate -1.5 is negative"),
        ([-2.0, 4.0, 8.0], [0, 1, 0], "row 1: energy_keV -2.0 is negative"),
        ([2.0, float("nan"), 8.0], [0, 1, 0], "row 2: energy_keV nan is not a finite number"),
        ([2.0, 4.0, 8.0], [0, 1, float("nan")], "row 3: rate nan is not a finite number"),
        ([2.0, 4.0, float("inf")], [0, 1, 0], "row 3: energy_keV inf is not a finite number"),
        ([2.0], [1.0], "needs at least 2 rows, found 1"),
        ([], [], "needs at least 2 rows, found 0"),
    ],
)
def test_bad_numbers_are_named_by_row(table, energies, rates, message):
    refused(table(energies, rates), message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("energy_keV,counts\n1,2\n3,4\n", "needs one column 'rate'; found: energy_keV, counts"),
        ("energy,rate\n1,2\n3,4\n", "needs one column 'energy_keV'; found: energy, rate"),
        ("energy_keV,rate,rate\n1,2,3\n3,4,5\n", "needs one column 'rate'; found: energy_keV, rate, rate"),
        ("", "needs one column 'energy_keV'; found: none"),
        ("1,2\n3,4\n", "needs one column 'energy_keV'; found: 1, 2"),
        ("energy_keV,rate\n1,2\n3,a lot\n", "row 2: rate 'a lot' is not a number"),
        ("energy_keV,rate\n1,2\n3,\n", "row 2: rate '' is not a number"),
        ("energy_keV,rate\n1,2\n3\n", "row 2: 1 cells under 2 column names"),
        ("energy_keV,rate\n1,2\n3,4,5\n", "row 2: 3 cells under 2 column names"),
    ],
)
def test_bad_csv(tmp_path, text, message):
    refused(csv(tmp_path / "t.csv", text), message)


def test_bad_files(tmp_path):
    refused(tmp_path / "none.csv", "no such file: .*none.csv")
    refused(tmp_path, "is a folder, no file")
    refused(csv(tmp_path / "t.txt", "energy_keV,rate\n1,2\n3,4\n"), "t.txt: a table is one of .csv, .parquet")
    refused(csv(tmp_path / "t.parquet", "energy_keV,rate\n1,2\n3,4\n"), "t.parquet: not a parquet table")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    refused(tmp_path / "binary.csv", "binary.csv: not a csv table")
    refused(parquet(tmp_path / "a.parquet", energy_keV=[1.0, 2.0], rate=["1", "2"]), "rate holds string, not numbers")
    refused(parquet(tmp_path / "b.parquet", energy_keV=[1.0, 2.0], rate=[1.0, None]), "row 2: rate nan is not a finite")
    refused(parquet(tmp_path / "c.parquet", energy_keV=[1.0, 2.0]), "needs one column 'rate'; found: energy_keV")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "both"}, "user_table.kind: .*'ER' or 'NR' .given: 'both'"),
        ({"relative_uncertainty": -0.1}, "user_table.relative_uncertainty: .*greater than or equal to 0"),
        ({"relative_uncertainty": float("inf")}, "user_table.relative_uncertainty: .*finite"),
        ({"paths": "x"}, "unknown option of 'user_table' 'paths'; did you mean 'path'"),
    ],
)
def test_bad_options(fields, message):
    with pytest.raises(BadInput, match=message):
        configure(TRIANGLE, **fields)


def test_path_and_kind_are_needed():
    with pytest.raises(BadInput, match="user_table.path: Field required"):
        spectra.configure(user_table, {"kind": "ER"})
    with pytest.raises(BadInput, match="user_table.kind: Field required"):
        spectra.configure(user_table, {"path": str(TRIANGLE)})


def refused(path, message):
    """Both doors refuse: the options when they are read, and the rate if the file has changed since."""
    with pytest.raises(BadInput, match=message) as caught:
        configure(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(BadInput, match=message):
        user_table.rate(np.array([1.0]), path=str(path), kind="ER")
