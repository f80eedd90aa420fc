"""A scan of one's own data: an event table and captures among the backgrounds, a peak as the signal."""

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from engine import schemas
from engine.physics import event_table, events
from engine.physics.detectors import darwin
from engine.physics.representations import vector
from engine.size import STRENGTH

PEAK_PER_TY = 1.0  # a triangle of 1 keV about 5 keV, 2 per t y keV high; the window and the S1 leave nearly all
OWN = """
[signal]
name = "user_table"
options = { path = "peak.csv", kind = "ER" }
[backgrounds]
components = ["pp", "pb214", "atm", "surface", "xe124_ec"]
options.surface = { spectrum = "user_events", path = "surface.parquet", rate_per_ty = 0.5, relative_uncertainty = 0.3 }
"""


@pytest.fixture
def own(tiny, tmp_path):
    """The tiny study with a strength for its plane, beside the files that it names."""
    columns, readout = events.simulate(darwin.CONSTANTS, "NR", np.linspace(12, 45, 200), "surface")
    event_table.write(tmp_path / "surface.parquet", vector.features(readout, darwin.CONSTANTS), columns)
    (tmp_path / "peak.csv").write_text("energy_keV,rate\n4.5,0\n5,2\n5.5,0\n")
    of_mass = ("m_chi_GeV", "sigma_si_cm2", "check_")
    lines = [line for line in tiny.read_text().splitlines() if not line.startswith(of_mass)]
    grid = lines.index("[grid]") + 1
    text = "\n".join([*lines[:grid], "strength = { values = [0.0, 2.0, 10.0] }", *lines[grid:]])
    path = tmp_path / "own.toml"
    path.write_text(text.replace("nr_events = 3000", "nr_events = 3000\ncomponent_events = 500") + OWN)
    return path


def test_a_scan_of_ones_own_data_ends_in_a_table_by_strength(run_here, own, tmp_path):
    said = run_here("scan", own, "--workers", 0).stdout
    (path,) = (tmp_path / "recoilscan-store" / "tables").iterdir()
    table = pq.read_table(path)
    assert table.schema.equals(schemas.results(STRENGTH))
    assert "sigma_si_cm2" not in table.column_names
    assert table["m_chi_GeV"].null_count == len(table)
    assert sorted(set(zip(table["point"].to_pylist(), table["strength"].to_pylist(), strict=True))) == [
        ("benchmark", 1.0), ("grid", 0.0), ("grid", 2.0), ("grid", 10.0)
    ]  # fmt: skip
    expected = pc.multiply(table["strength"], table["exposure_ty"]).to_numpy() * PEAK_PER_TY
    np.testing.assert_allclose(table["n_signal"].to_numpy(), expected, rtol=0.1)
    literal = table.filter((pc.field("statistic") == "extended_poisson") & (pc.field("exposure_ty") == 50))
    p = dict(zip(literal["strength"].to_pylist(), literal["p_median"].to_pylist(), strict=True))
    assert p[0.0] == pytest.approx(0.5, abs=0.07) and p[10.0] < 1e-3 < p[2.0] < p[0.0]
    assert " at strength 1." in said
    lines = run_here("results", own).stdout
    assert "surface" in lines and "strength 1, 50 t y: extended_poisson_R10000 p = " in lines
    (page,) = (tmp_path / "recoilscan-store" / "reports").glob("*/own.html")
    assert b"no figure of a plane" in page.read_bytes()
    drawn = {file.name for file in (tmp_path / "recoilscan-store" / "figures").glob("*/*")}
    of_q = {"q_tail_count_R10000_50ty.png"}  # the headline's
    diagnosed = {"roc", "sic", "confusion", "posterior_predictive", "elbo_energy", "latent", "reconstruction"}
    of_scores = {"scores_R10000.png", "pure_scores_R10000.png", "losses.png"}
    assert drawn == of_q | of_scores | {"p_against_exposure.png"} | {f"{name}.png" for name in diagnosed}
    (tmp_path / "limit.csv").write_text("20,1e-47\n")
    assert "has no plane" in run_here("plot", own, "--curve", "limit.csv", check=2).stderr
