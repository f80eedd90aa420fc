"""What can be told of a study before any of its events exists."""

from collections.abc import Callable, Iterator

import numpy as np

import zoo
from engine.errors import BadInput
from engine.inference.pools import KINDS
from engine.physics import spectra
from engine.study import Backgrounds, Study

MOST_EVENTS = 1e6  # expected in a toy, of a kind: ten thousand such toys take minutes on a core
LEAST_SELECTED = 0.1  # of recoils whose true energy is where a selection takes most of them: certainly more pass
NR_OF_CES = (0.1478, 1.1)  # NEST: W (photons + electrons) = 0.1478 E^1.1, both in keV
CERTAIN_KEVEE = (4.0, 8.0)  # which any selection of areas keeps
MOST_RECOILS_GEV = 50.0  # the mass at which a WIMP of one cross-section makes about the most of them
LINES_OF_124XE_KEVEE = (4.0, 12.0)  # LM and LL with their widths
OF_RAY_TRAIN = ("file", "s3", "gs", "gcs")  # where it can write its notes, by pyarrow's file systems


def refuse_full_toys(study: Study) -> None:
    """Raises BadInput where toys would certainly be so full that a digit has slipped; the pool tells it exactly."""
    exposure_ty, size = max(study.grid.exposure_ty.points()), max(study.grid.size.points())
    expected = {"background": sum(_certain_per_ty(study.backgrounds, name) for name in study.backgrounds.components)}
    # of one mass that makes about as many recoils as any: ten take a second, and the pool tells of all
    heavy = [mass for mass in study.grid.masses if mass and mass >= MOST_RECOILS_GEV]
    mass = min(heavy) if heavy else max(study.grid.masses, key=lambda mass: mass or 0.0)
    signal = study.signal.at(mass, size)
    expected[f"signal ({signal.words})"] = _integral(study.backgrounds, study.signal.kind, signal.rate)
    for what, per_ty in expected.items():
        if (n_events := LEAST_SELECTED * per_ty * exposure_ty) > MOST_EVENTS:
            raise BadInput(f"exposure_ty = {exposure_ty:g}: at least {n_events:.2g} {what} events are expected in a "
                           f"toy; at most {MOST_EVENTS:.0e} are drawn")  # fmt: skip


def refuse_store(study: Study, uri: str) -> None:
    """Raises BadInput for fits by Ray Train with a store that it cannot write to."""
    scheme = uri.partition("://")[0] if "://" in uri else "file"
    if not study.training.in_process and scheme not in OF_RAY_TRAIN:
        raise BadInput(f"the store is {scheme}://, where Ray Train cannot keep its notes: fits of several workers or "
                       "on GPUs need a folder, s3:// or gs://; or give training.workers = 1 and no GPU")  # fmt: skip


def refuse_compiling(study: Study) -> None:
    """Raises BadInput for fits to be compiled where nothing compiles; on another host the fit itself finds out."""
    if study.training.compile:
        try:
            zoo.check_compiler()
        except ValueError as error:
            raise BadInput(f"training.compile = true: {error}") from error


def remarks(study: Study) -> Iterator[str]:
    """What a reader of the results must know of the choice of spectra."""
    backgrounds, (low, high) = study.backgrounds, LINES_OF_124XE_KEVEE
    chosen = {name: backgrounds.spectrum(name) for name in backgrounds.components}
    for name, (module, options) in (chosen | {f"signal {study.signal.name}": study.signal.spectrum()}).items():
        if hasattr(module, "left_out") and (said := module.left_out(options)):
            yield f"{name}: {said}"
    first, last = backgrounds.ces_keVee
    if first < high and low < last and "xe124_ec" not in map(backgrounds.spectrum_name, backgrounds.components):
        yield ("124Xe's double captures (backgrounds.components: xe124_ec) are left out; each leaks some eighty times "
               "as much as a beta: what rests on a tail is too good")  # fmt: skip


def _certain_per_ty(backgrounds: Backgrounds, name: str) -> float:
    module, options = backgrounds.spectrum(name)
    if hasattr(module, "read"):
        return backgrounds.rate_factor(name) * options.rate_per_ty
    return _integral(backgrounds, spectra.describe(module, options)[0], backgrounds.rate(name))


def _integral(backgrounds: Backgrounds, kind: str, rate: Callable[[np.ndarray], np.ndarray]) -> float:
    """Events per t y between the true energies that the window of a kind of recoil stands for."""
    keVee = CERTAIN_KEVEE if backgrounds.er_window_keVee == "none" else backgrounds.er_window_keVee
    ends, (scale, power) = np.array(keVee), NR_OF_CES
    if kind == KINDS[1]:
        ends = (ends / scale) ** (1 / power) if isinstance(backgrounds.nr_window, str) else backgrounds.nr_window
    energy_keV = np.linspace(*ends, 801)
    return float(np.trapezoid(rate(energy_keV), energy_keV))
