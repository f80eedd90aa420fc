"""Numbers in the wrong unit: values that no study of its signal has, unless it says that they are meant."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import BadInput, said, unknown
from engine.physics import spectra
from engine.study.section import Axis

if TYPE_CHECKING:  # it asks this module
    from engine.study.sources import SignalPoint
    from engine.study.study import Study

EXPOSURE_TY = (0.01, 5000.0)  # t y: of the first detectors, and 25 times that of DARWIN; 20 t y are 7300 t d
ENERGY_KEV = (0.0, 3000.0)  # keV, of tables; the most that natural radioactivity leaves is 2.6 MeV
SECTIONS = ("grid", "benchmark", "reach", "tune", "compare")
N_ENERGIES = 10_001  # at which a spectrum is looked for
SEEN_KEV = np.geomspace(1e-3, 3000, N_ENERGIES)


def check(study: "Study") -> None:
    """Raises BadInput for a value out of its quantity's range that `confirm` does not name, or a name that is none."""
    ranges = {"exposure_ty": EXPOSURE_TY, "energy_keV": ENERGY_KEV, **_of_signal(study)}
    accepted = {*ranges, *study.backgrounds.components, study.signal.name}
    if strange := [name for name in study.confirm if name not in accepted]:
        raise unknown("name to confirm", strange[0], accepted)
    for place, quantity, values in _given(study):
        low, high = ranges[quantity] or (0.0, np.inf)
        bad = [value for value in values if value and not low <= value <= high]
        if bad and quantity not in study.confirm:
            of_signal = f" for {study.signal.name!r}" if quantity in _of_signal(study) else ""
            raise BadInput(f"{place} = {bad[0]:g}: usual values of {quantity}{of_signal} are {low:g} to {high:g}; in "
                           f"another unit? {_how(study, quantity)}")  # fmt: skip
    _check_spectra(study)


def _of_signal(study: "Study") -> dict[str, tuple[float, float] | None]:
    size = study.signal.size
    return {size.name: size.usual} | ({"m_chi_GeV": size.usual_mass_GeV} if size.has_mass else {})


def _given(study: "Study") -> Iterator[tuple[str, str, tuple[float, ...]]]:
    """Where a study gives values of a quantity, which, and its lowest and highest; what it leaves out is ours."""
    size = study.signal.size.name
    for section in SECTIONS:
        part = getattr(study, section)
        for key in sorted(part.model_fields_set) if part else ():
            quantity = next((name for name in ("m_chi_GeV", "exposure_ty", "size") if key.endswith(name)), None)
            if quantity is not None and (value := getattr(part, key)) is not None:
                yield (f"{section}.{key}".replace(".size", f".{size}"), quantity.replace("size", size), _ends(value))
    for point in study.reach.points:
        yield "reach.points.m_chi_GeV", "m_chi_GeV", (point.m_chi_GeV,)
        yield f"reach.points.{size}", size, (point.size,)
    for name, options in study.toys.options.items():
        if isinstance(value := options.get("exposure_ty"), int | float):
            yield f"toys.options.{name}.exposure_ty", "exposure_ty", (value,)
    spectra_of = {name: study.backgrounds.spectrum(name) for name in study.backgrounds.components}
    for name, (module, options) in (spectra_of | {"signal": study.signal.spectrum()}).items():
        if hasattr(module, "energies_keV"):
            yield f"{name}: energy_keV", "energy_keV", (float(module.energies_keV(options)[-1]),)


def _ends(value: Axis | tuple[float, ...] | float) -> tuple[float, ...]:
    if isinstance(value, Axis):
        return value.ends if value.values is None else value.values
    return value if isinstance(value, tuple) else (value,)


def _how(study: "Study", name: str) -> str:
    return f"If it is meant: confirm = {[*study.confirm, name]}".replace("'", '"')


def _check_spectra(study: "Study") -> None:
    """Raises BadInput for components, and lightest and heaviest signals, that no event of the pool is like."""
    for name in study.backgrounds.components:
        module, options = study.backgrounds.spectrum(name)
        if name not in study.confirm and not spectra.has_own_events(module):
            kind = spectra.describe(module, options)[0]
            _check_overlap(study, name, f"backgrounds.{name}", kind, study.backgrounds.rate(name))
    masses = _ends(study.grid.m_chi_GeV) if study.grid.m_chi_GeV else ()
    for mass in {min(masses), max(masses)} if masses else (None,):
        point = study.signal.at(mass)
        if study.signal.name not in study.confirm and not _certainly_overlaps(study, point):
            _check_overlap(study, study.signal.name, f"signal {point.words}", study.signal.kind, point.rate)


def _certainly_overlaps(study: "Study", point: "SignalPoint") -> bool:
    """Whether a signal says, without a rate computed, that recoils of it have the second of the pool's energies."""
    module, options = point.signal.spectrum()
    low, high = getattr(study.pool, f"{point.signal.kind.lower()}_energy_keV")
    return hasattr(module, "reaches_keV") and (
        module.reaches_keV(point.m_chi_GeV, options) > low + (high - low) / (N_ENERGIES - 1)
    )


def _check_overlap(study: "Study", name: str, what: str, kind: str, rate: Callable[[np.ndarray], np.ndarray]) -> None:
    key = f"{kind.lower()}_energy_keV"
    low, high = getattr(study.pool, key)
    try:
        is_there, seen = np.any(rate(np.linspace(low, high, N_ENERGIES)) > 0), rate(SEEN_KEV) > 0
    except BadInput:
        raise
    except Exception as error:  # of a spectrum of the user's own
        raise BadInput(f"{what}: its rate cannot be computed: {said(error)}") from error
    if not is_there:
        there = SEEN_KEV[seen]
        its = f"its recoils have {there[0]:.3g} to {there[-1]:.3g} keV" if len(there) else "it has no recoils"
        raise BadInput(f"{what} adds nothing: {its}, those of pool.{key} {low:g} to {high:g}. {_how(study, name)}")
