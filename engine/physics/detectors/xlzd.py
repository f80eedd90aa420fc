"""XLZD: 60 t active (arXiv:2410.17137), 80 V/cm.

"flamedisx" is the public model of FlamTeam/flamedisx (xlzd.py and xlzd.ini, branch RJ-XLZD_simple), "reqtask" the
requirements study kdund/xlzd_reqtask_nufog; "choice" marks a modelling choice without a source.
"""

from engine.physics.detectors import TPC
from engine.physics.detectors.darwin import BACKGROUNDS as DARWINS

CONSTANTS = TPC(
    drift_field_V_cm=80.0,  # flamedisx
    radius_cm=149.0,  # choice: as high as wide, with the book's 60 t
    drift_length_cm=298.0,  # choice: the same
    wall_distance_cm=12.0,  # choice: leaves 46 t
    density_g_cm3=2.8811,  # NEST SetDensity at flamedisx's 174.1 K and 1.79 bar
    g1=0.154,  # flamedisx: a quantum efficiency of 0.27 times the map's mean of 0.570
    g1_gas=0.10,  # flamedisx
    el_photons_per_electron=667.15,  # NEST's CalculateG2 at flamedisx's 7.5 kV/cm over its gap of 10 mm
    el_fano=2.0,  # flamedisx
    extraction=0.6997,  # NEST's CalculateG2 at 7.5 kV/cm
    electron_lifetime_us=10_000.0,  # flamedisx
    drift_velocity_mm_us=1.2698,  # NEST at this field
    diffusion_longitudinal_cm2_s=32.79,  # NEST at this field
    electron_trapping_us=1.112,  # NEST at this field
    gas_transit_us=1.81,  # NEST: 10 mm at 5.52 mm/us
    light_collection_map=(0.568299226, 7.29787915e-5, -4.37731127e-6, -6.39383595e-8, -1.873874e-10),  # flamedisx
    light_collection_height_cm=193.36,  # flamedisx: made for its 40 t, stretched here (choice)
    double_pe_probability=0.20,  # flamedisx
    spe_resolution=0.38,  # flamedisx
    spe_rise_ns=1.4,  # choice: as for DARWIN
    spe_fall_ns=15.0,  # choice: as for DARWIN
    baseline_noise_pe=0.01,  # choice: as for DARWIN
    dark_count_rate_hz=40.0,  # choice: as for DARWIN
    sample_step_pe=0.1,  # choice: as for DARWIN
    s1_coincidence=4,  # reqtask
    s1_coincidence_ns=200.0,  # choice: as for DARWIN
    s1_transport_ns=17.5,  # choice: as for DARWIN
    pmt_transit_ns=5.42,  # choice: as for DARWIN
    pmt_pitch_cm=8.0109,  # choice: as for DARWIN
    pmt_top_radius_cm=149.0,  # choice: the TPC's radius
    pmt_bottom_radius_cm=149.0,  # choice: the TPC's radius
    s1_bottom_fraction=0.8,  # choice: that of XENONnT
    s1_direct_efficiency=0.27,  # flamedisx: quantum and collection efficiency
    s2_top_fraction=0.63,  # choice: as for DARWIN
    s2_focused_fraction=0.65,  # choice: as for DARWIN
    s2_light_height_cm=7.5,  # choice: as for DARWIN
    s2_threshold_pe=198.0,  # flamedisx, reqtask
    s1_sample_ns=10.0,  # choice: as for DARWIN
    s2_sample_ns=10.0,  # choice: as for DARWIN
    s1_samples=200,  # choice: as for DARWIN
    s2_samples=3000,  # choice: 30 us hold the S2 of the longest drift
    s2_origin="pulse_start",  # choice: as for DARWIN
)

# flamedisx: up to 100 phd in cS1, log10 cS2 of 2.5 to 4 in phd; an efficiency beyond the thresholds is not stated.
SELECTION = {
    "er_window_keVee": "none", "nr_window": "none",
    "cuts": {"cs1_phd": [1.0, 100.0], "cs2_phd": [10**2.5, 1e4]},
}  # fmt: skip
POOL = {"er_energy_keV": [0.3, 25.0], "nr_energy_keV": [1.0, 90.0]}

BACKGROUNDS = DARWINS | {"xe124_ec": {}}  # 0.1 uBq/kg of 222Rn and 0.03 ppt of natural krypton: reqtask, as for DARWIN
