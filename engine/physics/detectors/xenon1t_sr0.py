"""XENON1T in its first science run (SR0): 2 t active, 1.042 t fiducial, 117 V/cm (arXiv:1705.06655).

"laidbax" is the public model XENON1T/laidbax that the run's first results were computed beside; S2 is that of the
bottom array alone, as in the paper. "choice" marks a modelling choice without a source.
"""

from engine.physics.detectors import TPC

S2_ARRAY = "bottom"

CONSTANTS = TPC(
    drift_field_V_cm=117.0,  # laidbax
    radius_cm=47.9,  # pax, XENON1T
    drift_length_cm=96.9,  # pax, XENON1T
    wall_distance_cm=9.3769,  # choice: equal distance to every wall that leaves 1.042 t
    density_g_cm3=2.86,  # pax, XENON1T
    g1=0.1254,  # laidbax: 0.1442 PE per photon
    g1_gas=0.1,  # choice: with the next number a single electron of 10.43 photons detected below
    el_photons_per_electron=104.3,  # laidbax: g2 = 11.52 PE per electron in the bottom array, over the extraction
    el_fano=1.0,  # choice: as for XENONnT
    extraction=0.96,  # arXiv:1705.06655
    electron_lifetime_us=452.0,  # laidbax
    drift_velocity_mm_us=1.44,  # laidbax
    diffusion_longitudinal_cm2_s=23.52,  # NEST at this field
    electron_trapping_us=0.140,  # fax_config_1t
    gas_transit_us=0.46,  # NEST: 2.5 mm at 5.5 mm/us
    light_collection_map=(1.0,),  # choice: flat
    light_collection_height_cm=96.9,  # the drift length
    double_pe_probability=0.15,  # laidbax
    spe_resolution=0.418,  # laidbax
    spe_rise_ns=1.4,  # as for DARWIN, whose are XENON1T's
    spe_fall_ns=15.0,  # as for DARWIN, whose are XENON1T's
    baseline_noise_pe=0.01,  # as for DARWIN, whose are XENON1T's
    dark_count_rate_hz=40.0,  # R11410-21 at -100 C (arXiv:1609.01654)
    sample_step_pe=0.1,  # choice: as for DARWIN
    s1_coincidence=3,  # arXiv:1705.06655
    s1_coincidence_ns=100.0,  # choice: as for XENONnT
    s1_transport_ns=11.15,  # choice: as for XENONnT
    pmt_transit_ns=5.42,  # choice: as for XENONnT
    pmt_pitch_cm=8.0,  # choice: the lattice of XENONnT; the top array's own is made of circles
    pmt_top_radius_cm=48.0,  # the same: 127 tubes
    pmt_bottom_radius_cm=47.5,  # the same: 121 tubes
    s1_bottom_fraction=0.8,  # choice: as for XENONnT
    s1_direct_efficiency=0.27,  # choice: as for DARWIN
    s2_top_fraction=0.627,  # pax; of images alone, since the S2 here is the bottom array's
    s2_focused_fraction=0.65,  # choice: as for DARWIN
    s2_light_height_cm=7.5,  # choice: as for DARWIN
    s2_threshold_pe=75.0,  # arXiv:1705.06655: 200 PE in all, of which 0.373 below
    s1_sample_ns=10.0,  # pax
    s2_sample_ns=10.0,  # pax
    s1_samples=200,  # choice: as for DARWIN
    s2_samples=3000,  # choice: 30 us hold the S2 of the longest drift
    s2_origin="pulse_start",  # choice: as for DARWIN
)

# Of 3 to 70 PE in cS1, 50 to 8000 PE in the bottom cS2 (arXiv:1705.06655).
SELECTION = {
    "er_window_keVee": "none", "nr_window": "none", "efficiency": 0.92,
    "cuts": {"cs1_pe": [3.0, 70.0], "cs2_pe": [50.0, 8000.0]},
}  # fmt: skip
POOL = {"er_energy_keV": [0.3, 20.0], "nr_energy_keV": [1.0, 90.0]}

# arXiv:1705.06655. Left out: accidental pairs (0.22), the wall (0.5 +- 0.3) and anomalous events (0.10) in 34.2 d.
BACKGROUNDS = {
    # (1.93 +- 0.25)e-4 events / (kg d keV), of which 62 +- 8 are expected in the selection
    "er": {"spectrum": "flat", "per_ty_keV": 70.5, "relative_uncertainty": 0.13},
    "xe124_ec": {},  # lines, and no part of that level
    "b8": {}, "hep": {}, "atm": {}, "dsnb": {},  # 0.02
    "neutrons": {"level": "achieved", "times": 22.5, "relative_uncertainty": 0.2},  # 0.05 +- 0.01
}  # fmt: skip
