"""The window of `lz_high_energy`: it sees what `lz_ws2024` is blind to, and its pool reaches as far as the window."""

import numpy as np
import pytest

from engine import study
from engine.assembly.population import unscored
from engine.errors import BadInput
from engine.physics.events import mean_charge
from engine.physics.spectra import xe124_ec
from engine.plan.plan import Plan
from engine.run import observation

EVENT = "s1c_phd,s2c_phd\n540.1,9268\n"  # arXiv:2609.02823


@pytest.fixture(scope="module")
def parsed():
    return study.load("lz_high_energy", ("pool.component_events=4000",))


def test_the_published_event_is_in_this_window_alone(parsed, tmp_path):
    path = tmp_path / "event.csv"
    path.write_text(EVENT)
    seen = observation.selected_of(parsed, path)
    assert len(seen) == 1 and seen.columns["ces_keVee"][0] == pytest.approx(69, abs=1)  # "near 70 keVee"
    with pytest.raises(BadInput, match="none of the list's 1 events"):
        observation.selected_of(study.load("lz_ws2024"), path)


def test_what_is_expected_in_the_window(parsed):
    population = unscored(Plan(parsed), 4000)
    pool, of = population.pool, dict(zip(population.names, population.weights, strict=True))
    cs1_phd = pool.cs1_pe / mean_charge(parsed.detector.constants)
    assert cs1_phd.max() < 600 and cs1_phd[pool.kind == 1].max() > 590
    nr_keV, er_keV = (pool.energy_keV[pool.kind == kind] for kind in (1, 0))
    assert np.mean(nr_keV > 270) > 0.02, "nuclear recoils of 270 keV pass"
    assert np.mean(er_keV > 140) < 1e-3, "the pool reaches beyond the window"
    shares = sum(xe124_ec.LINES[line][1] for line in ("LL", "LM", "KK", "KL"))
    expected = 0.95 * shares * xe124_ec.DECAYS_PER_TY  # all lines lie in the window
    assert of["xe124_ec"].sum() == pytest.approx(expected, rel=0.02)
    of_kk = of["xe124_ec"][np.abs(pool.energy_keV - 64.3) < 2].sum()
    assert of_kk == pytest.approx(0.95 * 0.724 * xe124_ec.DECAYS_PER_TY, rel=0.03)
    assert population.n_background(3.3) == pytest.approx(12_600, rel=0.05)
