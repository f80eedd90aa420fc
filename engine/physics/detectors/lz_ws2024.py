"""LUX-ZEPLIN in its second science run (WS2024): 7 t active, 5.5 t fiducial, 96.5 V/cm.

"nest" is nestpy 2.1.3's class LZ_WS2024, with NEST's own yields and not those that LZ fitted to its calibrations;
"diamx" the public fit of LZ's lists, mhliu0001/diamx; "choice" marks a modelling choice without a source.
"""

from engine.physics.detectors import TPC

CONSTANTS = TPC(
    drift_field_V_cm=96.5,  # nest
    radius_cm=72.8,  # nest
    drift_length_cm=145.6,  # nest: cathode to gate
    wall_distance_cm=5.4766,  # choice: equal distance to every wall that leaves 5.5 t
    density_g_cm3=2.8687,  # NEST SetDensity at nest's 175.9 K and 1.86 bar
    g1=0.1122,  # nest
    g1_gas=0.076404,  # nest
    el_photons_per_electron=613.19,  # nest's CalculateG2; a single electron of 46.85 photons detected
    el_fano=4.0,  # nest
    extraction=0.7262,  # nest's CalculateG2; hence g2 = 34.02
    electron_lifetime_us=9000.0,  # nest
    drift_velocity_mm_us=1.3304,  # NEST at this field and temperature
    diffusion_longitudinal_cm2_s=27.51,  # NEST at this field
    electron_trapping_us=0.853,  # NEST at this field
    gas_transit_us=1.45,  # NEST: 8 mm at 5.52 mm/us
    light_collection_map=(0.8213, -2.6013e-3, -2.8901e-5, -4.0446e-7, -1.30107e-9),  # nest, mean over r < 68.8 cm
    light_collection_height_cm=145.6,  # the drift length
    double_pe_probability=0.214,  # nest
    spe_resolution=0.338,  # nest
    spe_rise_ns=6.0,  # with the next number the sd of NEST's pulse, PULSE_WIDTH = 10 ns
    spe_fall_ns=8.0,  # the same
    baseline_noise_pe=0.01,  # choice: as for DARWIN
    dark_count_rate_hz=40.0,  # choice: as for DARWIN
    sample_step_pe=0.1,  # choice: as for DARWIN
    s1_coincidence=3,  # nest
    s1_coincidence_ns=150.0,  # nest
    s1_transport_ns=47.6,  # nest's OptTrans: the longer of its two times, in the middle
    pmt_transit_ns=5.42,  # choice: as for DARWIN
    pmt_pitch_cm=8.8,  # choice: a lattice of as many tubes as there are within the TPC's radius; LZ's own is another
    pmt_top_radius_cm=72.8,  # the same: 253 tubes
    pmt_bottom_radius_cm=71.5,  # the same: 241 tubes
    s1_bottom_fraction=0.60,  # nest's FitTBA
    s1_direct_efficiency=0.27,  # choice: as for DARWIN
    s2_top_fraction=0.644,  # nest's FitTBA
    s2_focused_fraction=0.65,  # choice: as for DARWIN
    s2_light_height_cm=7.5,  # choice: as for DARWIN
    s2_threshold_pe=783.0,  # nest: 645 photons detected
    s1_sample_ns=10.0,  # LZ digitises at 100 MHz (as NEST's sample)
    s2_sample_ns=10.0,  # the same
    s1_samples=200,  # choice: as for DARWIN
    s2_samples=3000,  # choice: 30 us hold the S2 of the longest drift
    s2_origin="pulse_start",  # choice: as for DARWIN
)

# Of 3 to 80 phd in S1c, S2 above threshold and log10 S2c below 4.5 (arXiv:2410.17036). The efficiency is the level that
# the published curve has beyond the thresholds, which are simulated (diamx: 0.95 from 15 to 32 keV of nuclear recoil).
SELECTION = {
    "er_window_keVee": "none", "nr_window": "none", "efficiency": 0.95,
    "cuts": {"cs1_phd": [3.0, 80.0], "cs2_phd": [1.0, 10**4.5]},
}  # fmt: skip
POOL = {"er_energy_keV": [0.3, 25.0], "nr_energy_keV": [1.0, 90.0]}

# Events expected in 220 d x 5.5 t (arXiv:2410.17036, Table I, as read in diamx). Left out: 127Xe and 125Xe (3.2 +- 0.6)
# and accidental pairs (2.8 +- 0.6), which have no spectrum: a study gives them as `user_events`.
BACKGROUNDS = {
    # 214Pb 743 +- 88, 85Kr, 39Ar and gamma rays 162 +- 22, 212Pb and 218Po 62.7 +- 7.5, 3H and 14C 58.3 +- 3.3, which
    # are taken for flat, too: 1026 +- 91 over 3.3 t y and the width that the selection keeps of a flat spectrum
    "betas": {"spectrum": "flat", "per_ty_keV": 25.6, "relative_uncertainty": 0.089},
    "pp": {"relative_uncertainty": 0.06}, "be7": {"relative_uncertainty": 0.06},  # 102 +- 6
    "xe136": {"shape": "fermi", "relative_uncertainty": 0.15},  # 55.6 +- 8.3
    "xe124_ec": {},  # 19.4 +- 3.9
    "b8": {}, "hep": {}, "atm": {}, "dsnb": {},
    "neutrons": {"level": "achieved", "relative_uncertainty": 1.0},  # 0.0 + 0.2
}  # fmt: skip
