"""Events of one kind, simulated in shards: truth, what is reconstructed, and the readout."""

import numpy as np

from engine import lineage
from engine.errors import BadInput
from engine.physics import proposals
from engine.physics.detectors import TPC, Readout, _collection, _field, _pulses, _quanta, _s2


def simulate(
    tpc: TPC,
    kind: str,
    energy_keV: np.ndarray,
    key: object,
    assumed: TPC | None = None,
    charge_yield_ratio: np.ndarray | None = None,
) -> tuple[dict[str, np.ndarray], Readout]:
    """Simulates one event per energy; `key` names the random streams, and nothing else enters.

    `tpc` is the detector as it is, `assumed` the one that corrections and energy scale take it for (default: the
    same), so that a shifted constant is an error of reconstruction as well. `charge_yield_ratio` (n,), in [0, 1]:
    the mean of an event's electrons over that of an ordinary recoil of its kind and energy (default: 1).
    Returns the columns (x_cm, y_cm, z_cm, s1_pe, s2_pe, cs1_pe, cs2_pe, drift_us, ces_keVee, registered), each of
    the length of `energy_keV`, and the readout. S1 and S2 carry the charge of every photon once.
    Raises BadInput for energies outside NEST's range, of which it would make numbers that mean nothing.
    """
    _refuse_outside_nest(energy_keV)
    assumed = assumed or tpc
    rng = lineage.stream("detector", key)
    x, y, z = _collection.positions(tpc, len(energy_keV), rng)
    drift = _collection.drift_us(tpc, z)
    nest_seed = lineage.seed("nest", key) % 2**32
    photons, electrons, excitons = _quanta.quanta(
        kind, energy_keV / tpc.work_function_scale, tpc.drift_field_V_cm, tpc.density_g_cm3, nest_seed,
        tpc.er_recombination_width_scale,
    ).T  # fmt: skip
    scale = {"ER": tpc.er_charge_yield_scale, "NR": tpc.nr_charge_yield_scale}[kind]
    if charge_yield_ratio is not None or scale != 1:
        ratio = scale * (1.0 if charge_yield_ratio is None else charge_yield_ratio)
        photons, electrons = _quanta.recombined(photons, electrons, np.broadcast_to(ratio, photons.shape), key)
    light = _collection.relative_light_collection(tpc, z)
    detected = rng.binomial(photons, np.minimum(tpc.g1 * light, 1.0))
    extracted = rng.binomial(electrons, _collection.survival(tpc, drift) * tpc.extraction)
    exciton_share = np.minimum(excitons / np.maximum(photons, 1), 1.0)
    seen = _collection.relative_light_collection(assumed, z), _collection.survival(assumed, drift)
    readout = _readout(tpc, kind, energy_keV, (x, y, drift), detected, exciton_share, extracted, seen, rng, key)
    cs1, cs2 = readout.s1_area / seen[0], readout.s2_area / seen[1]
    pe_per_photon = mean_charge(tpc)
    return {
        "x_cm": x, "y_cm": y, "z_cm": z,
        "s1_pe": readout.s1_area * pe_per_photon, "s2_pe": readout.s2_area * pe_per_photon,
        "cs1_pe": readout.cs1_pe, "cs2_pe": readout.cs2_pe,
        "drift_us": drift, "ces_keVee": _collection.combined_energy_keVee(assumed, cs1, cs2),
        "registered": readout.registered,
    }, readout  # fmt: skip


def moved(tpc: TPC, relative: dict[str, float]) -> TPC:
    """The detector with the named constants multiplied by 1 + amount; raises ValueError beyond what is valid."""
    return _field.override(tpc, {name: getattr(tpc, name) * (1 + amount) for name, amount in relative.items()})


def shifted(tpc: TPC, relative_sd: dict[str, float], key: object) -> TPC:
    """The detector with the named constants drawn about their values: one Gaussian each, kept within what is valid.

    Systematics enter by sampling them in the simulation (semi-supervised search in DARWIN, section 2.1), one draw
    per shard.
    """
    if not relative_sd:
        return tpc
    rng = lineage.stream("nuisance", key)
    while True:
        factors = {name: 1 + sd * rng.standard_normal() for name, sd in sorted(relative_sd.items())}
        try:
            return _field.override(tpc, {name: getattr(tpc, name) * factor for name, factor in factors.items()})
        except ValueError:  # a draw beyond a constant's bounds is drawn again: the Gaussian is truncated there
            continue


def mean_charge(tpc: TPC) -> float:
    """Mean charge of a detected photon in PE: 1 + double-PE probability, but for the truncation at zero."""
    return float(_pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution).mean(dtype=np.float64))


def _readout(tpc, kind, energy_keV, position, detected, exciton_share, extracted, seen, rng, key) -> Readout:
    x, y, drift = position
    light_seen, electrons_seen = seen  # what the corrections divide by
    n = len(energy_keV)
    keys = lineage.stream("photons", key).integers(0, 2**64, (2, n), dtype=np.uint64)
    charges = _pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution)
    n_top, n_bottom = (len(tpc.pmt_positions_cm(array)) for array in ("top", "bottom"))
    s1_top, s1_bottom = np.zeros((n, n_top), np.float32), np.zeros((n, n_bottom), np.float32)

    owner = np.repeat(np.arange(n), detected)
    is_exciton = rng.random(len(owner)) < exciton_share[owner]
    s1_times = _pulses.s1_times_ns(tpc, kind, energy_keV[owner], is_exciton, rng)
    s1_first = _offsets(detected)
    s1_waveform, s1_charge = np.zeros((n, tpc.s1_samples), np.float32), np.zeros(n)
    _pulses.fill_s1(
        s1_times, s1_first, keys[0], charges, tpc.s1_sample_ns, tpc.s1_bottom_fraction, s1_waveform, s1_top, s1_bottom,
        s1_charge,
    )  # fmt: skip

    s2_waveform, s2_top, s2_bottom, s2_charge = _s2.pulses(tpc, drift, extracted, x, y, keys[1])
    coincident = _pulses.in_coincidence(s1_times, s1_first, tpc.s1_coincidence, tpc.s1_coincidence_ns)
    mean = mean_charge(tpc)
    s1_area, s2_area = (charge / mean * _noise(tpc, name, n, key)
                        for name, charge in (("s1_noise", s1_charge), ("s2_noise", s2_charge)))  # fmt: skip
    return Readout(
        s1_waveform, s2_waveform, s1_top, s1_bottom, s2_top, s2_bottom, s1_area, s2_area,
        coincident & (s2_charge >= tpc.s2_threshold_pe),
        s1_area / light_seen * mean, s2_area / electrons_seen * mean, drift,
    )  # fmt: skip


def _noise(tpc: TPC, name: str, n: int, key: object) -> np.ndarray | float:
    """(n,) factors of reconstruction about 1; 1 where there is no noise, which then draws nothing."""
    width = getattr(tpc, name)
    return np.maximum(1 + width * lineage.stream(name, key).standard_normal(n), 0.0) if width else 1.0


def _refuse_outside_nest(energy_keV: np.ndarray) -> None:
    low, high = proposals.NEST_RANGE_KEV
    outside = ~((energy_keV >= low) & (energy_keV <= high))
    if outside.any():
        event = int(np.argmax(outside))
        raise BadInput(f"energy_keV[{event}] = {energy_keV[event]:g} is outside NEST's range, {low:g} to {high:g} keV")


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)])
