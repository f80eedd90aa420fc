"""Energies that NEST has no yields for are refused by the events themselves, whoever calls."""

import numpy as np
import pytest

from engine.errors import BadInput
from engine.physics import events, proposals
from engine.physics.detectors import darwin

LOW_KEV, HIGH_KEV = proposals.NEST_RANGE_KEV


@pytest.mark.parametrize("kind", ["ER", "NR"])
@pytest.mark.parametrize(
    ("energy_keV", "said"),
    [
        (-1.0, "= -1 is outside"),
        (0.0, "= 0 is outside"),
        (LOW_KEV * 0.99, "= 0.0495 is outside"),
        (HIGH_KEV * 1.01, "= 303 is outside"),
        (float("nan"), "= nan is outside"),
        (float("inf"), "= inf is outside"),
    ],
)
def test_energies_outside_nests_range(kind, energy_keV, said):
    with pytest.raises(BadInput, match=rf"energy_keV\[1\] {said} NEST's range, 0.05 to 300 keV") as caught:
        events.simulate(darwin.CONSTANTS, kind, np.array([5.0, energy_keV]), "outside")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["ER", "NR"])
def test_the_range_includes_its_ends(kind):
    columns, _ = events.simulate(darwin.CONSTANTS, kind, np.array([LOW_KEV, HIGH_KEV]), "ends")
    assert columns["ces_keVee"][1] > 50
