"""What moves with the drift field: drift velocity, longitudinal diffusion and trapping of electrons.

A detector's own numbers, measured or NEST's, are those at its own field; at another they change as NEST says.
"""

from functools import lru_cache

import numpy as np

from engine.physics.detectors import TPC

TEMPERATURE_K, PRESSURE_BAR = 175.0, 1.9  # the ratio of two velocities moves by less than 1 % per K


@lru_cache(maxsize=1)
def _nest() -> tuple[object, object, float]:
    import nestpy  # half a second, for another field than the detector's alone

    # NESTcalc keeps a raw pointer to its detector, so both are kept.
    detector = nestpy.detectors.VDetector()
    detector.set_T_Kelvin(TEMPERATURE_K)
    detector.set_p_bar(PRESSURE_BAR)
    detector.set_inGas(False)
    calc = nestpy.NESTcalc(detector)
    return calc, detector, calc.SetDensity(TEMPERATURE_K, PRESSURE_BAR)


def drift_velocity_mm_us(field_V_cm: float) -> float:
    """NEST SetDriftVelocity: 1.525 at 200 V/cm, 1.048 at 50."""
    calc, _, density = _nest()
    return calc.SetDriftVelocity(TEMPERATURE_K, density, field_V_cm, PRESSURE_BAR)


def diffusion_longitudinal_cm2_s(field_V_cm: float) -> float:
    """NEST GetDiffLong_Liquid: 17.97 at 200 V/cm."""
    return 57.381 * field_V_cm**-0.22221 + 127.27 * np.exp(-field_V_cm / 32.821)


def electron_trapping_us(field_V_cm: float) -> float:
    """NEST's mean trapping time: 0.416 at 200 V/cm."""
    return 0.28326 + 5303 / field_V_cm**2


FOLLOWS = (drift_velocity_mm_us, diffusion_longitudinal_cm2_s, electron_trapping_us)


def override(tpc: TPC, constants: dict[str, float]) -> TPC:
    """The detector with other constants; with another drift field, what follows from it and is not among them moves.

    Raises ValueError for what is not valid.
    """
    own, field_V_cm = tpc.drift_field_V_cm, constants.get("drift_field_V_cm")
    moved = {}
    if field_V_cm not in (None, own):
        TPC(**tpc.model_dump() | {"drift_field_V_cm": field_V_cm})  # a field that is no number has no velocity
        moved = {f.__name__: float(getattr(tpc, f.__name__) * f(float(field_V_cm)) / f(own)) for f in FOLLOWS}
    return TPC(**tpc.model_dump() | moved | constants)
