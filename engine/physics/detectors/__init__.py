"""Detectors: a file is a choice, and a detector is a module of constants.

Contract: a module `name.py` has `CONSTANTS: TPC`, each number with its unit and source on its line, and
the steps it shares with its siblings (quanta, collection, pulses) do the rest. A study may override any
constant by its name. `BACKGROUNDS` maps the components that its studies have, unless they name others, to the options
of each, as a study would give them; a study of a module without it must name its components. `SELECTION` (fields of a
study's backgrounds: windows, cuts, efficiency) and `POOL` (energies that cover it) are a study's unless it says others.
`S2_ARRAY = "bottom"`: its S2 is that of the bottom array alone.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Field(gt=0)
Fraction = Field(ge=0, le=1)


def Emission(description: str):
    """A factor on NEST's model of emission, whose versions differ by as much; no part of an identity where it is 1."""
    return Field(1.0, gt=0.5, lt=2, description=description, exclude_if=lambda factor: factor == 1)


def Noise(description: str):
    """A relative width of reconstruction, beside the charge's own; no part of an identity where there is none."""
    return Field(0.0, ge=0, le=0.3, description=description, exclude_if=lambda width: width == 0)


def Electronics(description: str, most: float):
    """What waveforms and hit patterns show of tubes and light; no part of an identity where it is 0: without it."""
    return Field(0.0, ge=0, le=most, description=description, exclude_if=lambda value: value == 0)


class TPC(BaseModel):
    """The constants of a cylindrical two-phase xenon time projection chamber; z is 0 at the cathode.

    The bounds are wide, and there to catch a wrong unit: a field of 0.2 is one in kV/cm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    drift_field_V_cm: float = Field(ge=5, le=5000)
    radius_cm: float = Field(gt=1, le=1000)
    drift_length_cm: float = Field(gt=1, le=1000)
    wall_distance_cm: float = Field(ge=0, description="of the fiducial volume, from every wall")
    density_g_cm3: float = Field(ge=2.5, le=3.1, description="of the liquid")
    work_function_scale: float = Field(1.0, gt=0.5, lt=2, description="true W over NEST's, for its uncertainty")
    er_charge_yield_scale: float = Emission("mean electrons of an ER over NEST's, its quanta as many")
    nr_charge_yield_scale: float = Emission("mean electrons of an NR over NEST's, its quanta as many")
    er_recombination_width_scale: float = Emission("amplitude of ER recombination fluctuations over NEST's")
    g1: float = Field(gt=0, le=1, description="photons detected per photon")
    g1_gas: float = Field(gt=0, le=1, description="photons detected per electroluminescence photon")
    el_photons_per_electron: float = Field(ge=1, le=5000)
    el_fano: float = Field(ge=0, description="variance over mean of the electroluminescence photons")
    extraction: float = Field(gt=0, le=1)
    electron_lifetime_us: float = Field(ge=50, description="in microseconds: 10 ms are 10000")
    drift_velocity_mm_us: float = Field(ge=0.1, le=5)
    diffusion_longitudinal_cm2_s: float = Field(ge=0)
    electron_trapping_us: float = Positive
    gas_transit_us: float = Positive
    light_collection_map: tuple[float, ...] = Field(
        min_length=1, description="S1 collection: polynomial in z in cm, 0 at the top, negative below"
    )
    light_collection_height_cm: float = Field(gt=0, description="height for which the polynomial was made")
    double_pe_probability: float = Fraction
    spe_resolution: float = Field(ge=0, description="relative width of one photoelectron's charge")
    spe_rise_ns: float = Electronics("time constant of a photoelectron's pulse: its rise, shorter than its fall", 100)
    spe_fall_ns: float = Electronics("time constant of its fall; 0: the charge is all in one sample", 1000)
    baseline_noise_pe: float = Electronics("rms of one tube's baseline, in PE per sample, where it is recorded", 1)
    dark_count_rate_hz: float = Electronics("single photoelectrons per second of each tube", 1e6)
    sample_step_pe: float = Field(
        1.0, gt=0, le=1, description="least step of a sample in the vector, in PE", exclude_if=lambda step: step == 1
    )
    s1_coincidence: int = Field(ge=1, description="photons that must fall within s1_coincidence_ns")
    s1_coincidence_ns: float = Positive
    s1_transport_ns: float = Field(gt=0, description="mean time of a reflected photon to a PMT")
    pmt_transit_ns: float = Field(ge=0, description="sigma of transit time and electronics")
    pmt_pitch_cm: float = Field(ge=1, le=100)
    pmt_top_radius_cm: float = Field(gt=0, le=1000, description="centres of the top array lie within")
    pmt_bottom_radius_cm: float = Field(gt=0, le=1000, description="centres of the bottom array lie within")
    s1_bottom_fraction: float = Fraction
    s1_direct_efficiency: float = Electronics("S1 photons detected per photon on a tube's window; 0: light is even", 1)
    s2_top_fraction: float = Fraction
    s2_focused_fraction: float = Fraction
    s2_light_height_cm: float = Positive
    s2_threshold_pe: float = Field(ge=0, description="the least S2, before corrections, of a registered event")
    s1_noise: float = Noise("of S1: pulse finding and position correction (NEST's noiseLinear)")
    s2_noise: float = Noise("of S2: the same")
    s1_sample_ns: float = Positive
    s2_sample_ns: float = Positive
    s1_samples: int = Field(ge=1, le=1_000_000)
    s2_samples: int = Field(ge=1, le=1_000_000)
    s2_origin: Literal["pulse_start", "s1_trigger"] = Field(
        description="the S2 waveform starts with the first electron, or at the recoil: then it holds the drift time"
    )

    @model_validator(mode="after")
    def _has_a_fiducial_volume(self) -> "TPC":
        if not 2 * self.wall_distance_cm < min(2 * self.radius_cm, self.drift_length_cm):
            raise ValueError(
                f"wall_distance_cm = {self.wall_distance_cm:g} leaves no fiducial volume in a TPC of radius "
                f"{self.radius_cm:g} cm and drift length {self.drift_length_cm:g} cm"
            )
        return self

    @model_validator(mode="after")
    def _has_a_pulse(self) -> "TPC":
        if self.spe_rise_ns and self.spe_rise_ns >= self.spe_fall_ns:
            raise ValueError(f"spe_rise_ns = {self.spe_rise_ns:g} is not below spe_fall_ns = {self.spe_fall_ns:g}")
        return self

    @property
    def g2(self) -> float:
        """Photons detected per electron that reaches the liquid's surface."""
        return self.extraction * self.single_electron_gain

    @property
    def single_electron_gain(self) -> float:
        """Photons detected per extracted electron."""
        return self.el_photons_per_electron * self.g1_gas

    @property
    def fiducial_radius_cm(self) -> float:
        """Radius inside which events are thrown."""
        return self.radius_cm - self.wall_distance_cm

    @property
    def fiducial_height_cm(self) -> float:
        """Height of the volume in which events are thrown."""
        return self.drift_length_cm - 2 * self.wall_distance_cm

    @property
    def fiducial_mass_t(self) -> float:
        """Mass inside the fiducial volume, in tonnes."""
        return math.pi * self.fiducial_radius_cm**2 * self.fiducial_height_cm * self.density_g_cm3 * 1e-6

    def pmt_positions_cm(self, array: Literal["top", "bottom"] = "top") -> np.ndarray:
        """(n, 2) centres of one PMT array: a hexagonal lattice with a tube in its middle."""
        radius = {"top": self.pmt_top_radius_cm, "bottom": self.pmt_bottom_radius_cm}[array]
        return hexagonal_lattice(self.pmt_pitch_cm, radius)


@dataclass(frozen=True)
class Readout:
    """What is recorded of n events, in PE as float32, and photons detected as drawn; and what is reconstructed of it.

    s1_waveform (n, s1_samples), s2_waveform (n, s2_samples); s1_top, s1_bottom, s2_top, s2_bottom (n, PMTs of
    that array); s1_area, s2_area (n,): charge over the mean charge of a photon, in photons detected;
    registered (n,) bool: an S1 of enough photons within the window, with an S2 of at least the threshold.
    cs1_pe, cs2_pe (n,): charge corrected for light collection and electron lifetime; drift_us (n,): drift time.
    s1_channel_ns, s2_channel_ns (n, PMTs, 2), of the top and then of the bottom array: mean and standard deviation of
    the times of a tube's charge after its waveform's start, 0 without any; (n, 0, 2) unless asked for.
    s1_photons, s1_mean_time_ns (after the first photon, 0 without any), s2_electrons (n,): what was detected of a
    simulated event's quanta, which no experiment records.
    """

    s1_waveform: np.ndarray
    s2_waveform: np.ndarray
    s1_top: np.ndarray
    s1_bottom: np.ndarray
    s2_top: np.ndarray
    s2_bottom: np.ndarray
    s1_area: np.ndarray
    s2_area: np.ndarray
    registered: np.ndarray
    cs1_pe: np.ndarray
    cs2_pe: np.ndarray
    drift_us: np.ndarray
    s1_channel_ns: np.ndarray
    s2_channel_ns: np.ndarray
    s1_photons: np.ndarray
    s1_mean_time_ns: np.ndarray
    s2_electrons: np.ndarray


@lru_cache(maxsize=8)
def hexagonal_lattice(pitch_cm: float, array_radius_cm: float) -> np.ndarray:
    """(n, 2) lattice points within the radius, one of them at the origin, sorted by y, then x."""
    reach = int(array_radius_cm / pitch_cm * 2) + 2
    i, j = np.meshgrid(np.arange(-reach, reach + 1), np.arange(-reach, reach + 1))
    x, y = pitch_cm * (i + j / 2), pitch_cm * np.sqrt(3) / 2 * j
    inside = np.hypot(x, y) <= array_radius_cm
    xy = np.column_stack([x[inside], y[inside]])
    return xy[np.lexsort((xy[:, 0].round(6), xy[:, 1].round(6)))]
