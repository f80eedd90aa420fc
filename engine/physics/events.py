"""Events of one kind, simulated in shards: truth, what is reconstructed, and the readout."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from engine import lineage
from engine.errors import BadInput
from engine.physics import proposals
from engine.physics.detectors import (
    TPC,
    Readout,
    _channel_times,
    _collection,
    _electronics,
    _field,
    _pulses,
    _quanta,
    _s1_light,
    _s2,
)

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Recoils:
    """Recoils as far as what is detected of them, and their charge, is settled: their light has no time and no place.

    Arrays (n,); keys (2, n): of the random streams of each event's S1 and S2; seen (2, n): what corrections divide by;
    noise (2, n): factors of reconstruction on S1 and S2.
    """

    kind: str
    energy_keV: np.ndarray
    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    drift_us: np.ndarray
    detected: np.ndarray
    exciton_share: np.ndarray
    extracted: np.ndarray
    keys: np.ndarray
    seen: np.ndarray
    noise: np.ndarray

    def only(self, chosen: np.ndarray) -> "Recoils":
        """These of them."""
        return Recoils(self.kind, *(values[..., chosen] for name, values in vars(self).items() if name != "kind"))

    def paired(self) -> "Recoils":
        """Each with the S1 of the one before it: accidental pairs, put where their S2 says."""
        of_s1 = ("energy_keV", "detected", "exciton_share")
        return replace(self, **{name: np.roll(getattr(self, name), 1) for name in of_s1})


def simulate(
    tpc: TPC,
    kind: str,
    energy_keV: np.ndarray,
    key: object,
    assumed: TPC | None = None,
    charge_yield_ratio: np.ndarray | None = None,
    pulses: bool = True,
    charge_kept: np.ndarray | None = None,
    paired: bool = False,
    channel_times: bool = False,
) -> tuple[Columns, Readout]:
    """Simulates one event per energy; `key` names the random streams, and nothing else enters.

    `tpc` is the detector as it is, `assumed` the one that corrections and energy scale take it for (default: the
    same), so that a shifted constant is an error of reconstruction as well. `charge_yield_ratio` (n,), in [0, 1]:
    the mean of an event's electrons over that of an ordinary recoil of its kind and energy (default: 1).
    `charge_kept` (n,), in [0, 1]: the chance of an electron not to be lost on its way, as on a wall, beside that of its
    drift (default: 1). `paired`: an event has the S1 of the recoil before it, and all else of its own.
    Returns the columns (x_cm, y_cm, z_cm, s1_pe, s2_pe, cs1_pe, cs2_pe, drift_us, ces_keVee, registered), each of
    the length of `energy_keV`, and the readout. S1 and S2 carry the charge of every photon once. Without `pulses` all
    numbers are the same, and the readout's waveforms and hits are empty, (n, 0): that takes a tenth of the time.
    With `channel_times` the pulses have a time in every tube, too, and all else is as without.
    Raises BadInput for energies outside NEST's range, of which it would make numbers that mean nothing.
    """
    rng = lineage.stream("detector", key)
    recoils = _recoils(tpc, kind, energy_keV, key, rng, assumed or tpc, charge_yield_ratio, charge_kept)
    return _readout(tpc, assumed or tpc, recoils.paired() if paired else recoils, rng, pulses, channel_times)


def enriched(
    tpc: TPC, kind: str, energy_keV: np.ndarray, key: object, probability: Callable[[Columns], np.ndarray],
    assumed: TPC | None = None, pulses: bool = True, channel_times: bool = False,
) -> tuple[np.ndarray, np.ndarray, Columns, Readout]:  # fmt: skip
    """Throws one event per energy, and goes on with those that are kept for what they look like.

    Of every event first the photons and electrons that are detected are drawn, hence S1 and S2; `probability` maps the
    columns (`charged`) of all events to the probability (n,) with which each is kept. Only the kept ones get pulses,
    given what was drawn: an event has the S1 and the S2 that it was kept for, which are those that `simulate` gives
    it. What cannot be registered is not kept.
    Returns of the kept: their places among all, the probabilities, and what `simulate` returns.
    """
    recoils, columns = _charged(tpc, kind, energy_keV, key, assumed or tpc)
    chance = np.where(columns["registered"], probability(columns), 0.0)
    kept = np.flatnonzero(lineage.stream("kept", key).random(len(chance)) < chance)
    made = _readout(tpc, assumed or tpc, recoils.only(kept), lineage.stream("pulses", key), pulses, channel_times)
    return kept, chance[kept], *made


def charged(tpc: TPC, kind: str, energy_keV: np.ndarray, key: object, assumed: TPC | None = None) -> Columns:
    """The columns of `simulate`, number for number, in a twentieth of its time, since no photon is given a time.

    For that, `registered` says only that enough photons are detected, whenever they are.
    """
    return _charged(tpc, kind, energy_keV, key, assumed or tpc)[1]


def _charged(tpc: TPC, kind: str, energy_keV: np.ndarray, key: object, assumed: TPC) -> tuple[Recoils, Columns]:
    recoils = _recoils(tpc, kind, energy_keV, key, lineage.stream("detector", key), assumed)
    charge = _charges(tpc, recoils)
    enough = (recoils.detected >= tpc.s1_coincidence) & (charge[1] >= tpc.s2_threshold_pe)
    return recoils, _columns(tpc, assumed, recoils, charge / mean_charge(tpc) * recoils.noise) | {"registered": enough}


def _recoils(
    tpc: TPC, kind: str, energy_keV: np.ndarray, key: object, rng: np.random.Generator, assumed: TPC,
    charge_yield_ratio: np.ndarray | None = None, charge_kept: np.ndarray | None = None,
) -> Recoils:  # fmt: skip
    _refuse_outside_nest(energy_keV)
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
    survival = _collection.survival(tpc, drift) * (1.0 if charge_kept is None else charge_kept)
    extracted = rng.binomial(electrons, survival * tpc.extraction)
    exciton_share = np.minimum(excitons / np.maximum(photons, 1), 1.0)
    seen = np.stack([_collection.relative_light_collection(assumed, z), _collection.survival(assumed, drift)])
    keys = lineage.stream("photons", key).integers(0, 2**64, (2, len(energy_keV)), dtype=np.uint64)
    noise = np.stack([_noise(tpc, name, len(energy_keV), key) for name in ("s1_noise", "s2_noise")])
    return Recoils(kind, energy_keV, x, y, z, drift, detected, exciton_share, extracted, keys, seen, noise)


def _charges(tpc: TPC, recoils: Recoils) -> np.ndarray:
    """(2, n) charge of S1 and S2 in PE: that of their pulses, without the pulses."""
    table = _pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution)
    s1 = _pulses.s1_charge(recoils.keys[0], recoils.detected, table)
    return np.stack([s1, _s2.charge(tpc, recoils.extracted, recoils.keys[1])])


def _columns(tpc: TPC, assumed: TPC, recoils: Recoils, areas: np.ndarray) -> Columns:
    """What is reconstructed of recoils whose S1 and S2 are so many photons detected, (2, n)."""
    (s1, s2), (cs1, cs2), mean = areas, areas / recoils.seen, mean_charge(tpc)
    return {
        "x_cm": recoils.x, "y_cm": recoils.y, "z_cm": recoils.z,
        "s1_pe": s1 * mean, "s2_pe": s2 * mean, "cs1_pe": cs1 * mean, "cs2_pe": cs2 * mean,
        "drift_us": recoils.drift_us, "ces_keVee": _collection.combined_energy_keVee(assumed, cs1, cs2),
    }  # fmt: skip


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


def _readout(
    tpc: TPC, assumed: TPC, recoils: Recoils, rng: np.random.Generator, pulses: bool, channel_times: bool
) -> tuple[Columns, Readout]:
    """Recoils' columns and what is recorded of them; `rng` gives the S1's photons their times, then dark counts."""
    n, owner = len(recoils.energy_keV), np.repeat(np.arange(len(recoils.energy_keV)), recoils.detected)
    is_exciton = rng.random(len(owner)) < recoils.exciton_share[owner]
    s1_times, s1_first = (
        _pulses.s1_times_ns(tpc, recoils.kind, recoils.energy_keV[owner], is_exciton, rng), _offsets(recoils.detected)
    )  # fmt: skip
    if pulses:
        light, times, charge = _pulses_of(tpc, recoils, s1_times, s1_first, rng, channel_times)
    else:
        light, times, charge = [np.zeros((n, 0), np.float32)] * 6, _no_times(n), _charges(tpc, recoils)
    coincident = _pulses.in_coincidence(s1_times, s1_first, tpc.s1_coincidence, tpc.s1_coincidence_ns)
    registered, areas = coincident & (charge[1] >= tpc.s2_threshold_pe), charge / mean_charge(tpc) * recoils.noise
    columns = _columns(tpc, assumed, recoils, areas)
    reconstructed = (columns[name] for name in ("cs1_pe", "cs2_pe", "drift_us"))
    detected = recoils.detected, _pulses.mean_times_ns(s1_times, s1_first), recoils.extracted
    return columns | {"registered": registered}, Readout(*light, *areas, registered, *reconstructed, *times, *detected)


def _pulses_of(
    tpc: TPC, recoils: Recoils, s1_times: np.ndarray, s1_first: np.ndarray, rng: np.random.Generator,
    channel_times: bool,
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:  # fmt: skip
    """Waveforms and hits, and times of channels, in the order of a `Readout`, and (2, n) charge of S1 and S2 in PE."""
    n, charges = len(recoils.energy_keV), _pulses.charge_table(tpc.double_pe_probability, tpc.spe_resolution)
    n_top, n_bottom = (len(tpc.pmt_positions_cm(array)) for array in ("top", "bottom"))
    s1_top, s1_bottom = np.zeros((n, n_top), np.float32), np.zeros((n, n_bottom), np.float32)
    s1_waveform, s1_charge = np.zeros((n, tpc.s1_samples), np.float32), np.zeros(n)
    moments = np.zeros((n if channel_times else 0, n_top + n_bottom, 2))
    places, tubes = _s1_light.optics(tpc, recoils.x, recoils.y, recoils.z)
    _pulses.fill_s1(
        s1_times, s1_first, recoils.keys[0], charges, tpc.s1_sample_ns, _s1_light.bottom_share(tpc),
        places if tpc.s1_direct_efficiency else places[:0], tubes, s1_waveform, s1_top, s1_bottom, s1_charge,
        moments,
    )  # fmt: skip
    s2_waveform, s2_top, s2_bottom, s2_charge = _s2.pulses(
        tpc, recoils.drift_us, recoils.extracted, recoils.x, recoils.y, recoils.keys[1]
    )
    s1_hits, s2_hits = (s1_top, s1_bottom), (s2_top, s2_bottom)
    _electronics.add_dark_counts(tpc, tpc.s1_sample_ns, s1_waveform, s1_hits, rng, moments if channel_times else None)
    _electronics.add_dark_counts(tpc, tpc.s2_sample_ns, s2_waveform, s2_hits, rng)
    times = _no_times(n)
    if channel_times:
        drawn_from = s2_waveform, s2_hits, recoils.keys[1], tpc.s2_sample_ns, mean_charge(tpc)
        times = [_channel_times.of_moments(moments, *s1_hits), _channel_times.of_waveforms(*drawn_from)]
    waveforms = [
        _electronics.digitise(tpc, tpc.s1_sample_ns, s1_waveform, recoils.keys[0]),
        _electronics.digitise(tpc, tpc.s2_sample_ns, s2_waveform, recoils.keys[1]),
    ]
    return [*waveforms, *s1_hits, *s2_hits], times, np.stack([s1_charge, s2_charge])


def _no_times(n: int) -> list[np.ndarray]:
    return [np.zeros((n, 0, 2), np.float32)] * 2


def _noise(tpc: TPC, name: str, n: int, key: object) -> np.ndarray:
    """(n,) factors of reconstruction about 1; 1 where there is no noise, which then draws nothing."""
    width = getattr(tpc, name)
    return np.maximum(1 + width * lineage.stream(name, key).standard_normal(n), 0.0) if width else np.ones(n)


def _refuse_outside_nest(energy_keV: np.ndarray) -> None:
    low, high = proposals.NEST_RANGE_KEV
    outside = ~((energy_keV >= low) & (energy_keV <= high))
    if outside.any():
        event = int(np.argmax(outside))
        raise BadInput(f"energy_keV[{event}] = {energy_keV[event]:g} is outside NEST's range, {low:g} to {high:g} keV")


def _offsets(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(counts)])
