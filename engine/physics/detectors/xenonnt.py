"""XENONnT in its first science run (SR0): 5.9 t active, 4.2 t fiducial, 23 V/cm.

The paper on images (arXiv:2110.12248) names this detector, although what it ran is XENON1T's public simulation.
"nest" is the detector file XENONnT_SR0.hh of NEST's repository, "fuse" the public configuration of XENONnT/fuse,
"appletree" that of XENONnT/appletree; "choice" marks a modelling choice without a source.
"""

from engine.physics.detectors import TPC

CONSTANTS = TPC(
    drift_field_V_cm=23.0,  # fuse, appletree
    radius_cm=66.4,  # fuse
    drift_length_cm=148.65,  # fuse
    wall_distance_cm=7.348,  # choice: equal distance to every wall that leaves 4.2 t
    density_g_cm3=2.862,  # fuse; NEST SetDensity gives 2.8625 at this temperature
    g1=0.1252,  # nest; 0.1515 PE per photon in appletree
    g1_gas=0.1533,  # nest
    el_photons_per_electron=167.94,  # nest: a single electron of 31.15 PE = 25.75 photons detected
    el_fano=1.0,  # nest
    extraction=0.528,  # nest, appletree; hence g2 = 16.45 PE per electron
    electron_lifetime_us=15_000.0,  # nest (11 ms in flamedisx)
    drift_velocity_mm_us=0.677,  # appletree (0.675 in flamedisx, 0.626 by NEST's formula)
    diffusion_longitudinal_cm2_s=44.5,  # fuse (91.7 by NEST's formula)
    electron_trapping_us=0.140,  # fuse; NEST's formula would give 10.3 at this field, wider than all diffusion
    gas_transit_us=0.62,  # NEST: 3 mm
    light_collection_map=(1.0,),  # nest: flat
    light_collection_height_cm=148.65,  # the drift length
    double_pe_probability=0.21,  # nest (0.219 to 0.227 in fuse and appletree)
    spe_resolution=0.40,  # nest
    spe_rise_ns=1.4,  # choice: as for DARWIN
    spe_fall_ns=15.0,  # choice: as for DARWIN
    baseline_noise_pe=0.01,  # choice: as for DARWIN
    dark_count_rate_hz=40.0,  # R11410-21 (arXiv:2104.15051 tests those of this detector)
    sample_step_pe=0.1,  # choice: as for DARWIN
    s1_coincidence=3,  # nest, appletree
    s1_coincidence_ns=100.0,  # nest
    s1_transport_ns=11.15,  # nest: the longer of its two times
    pmt_transit_ns=5.42,  # 9 ns FWHM of the tube (fuse) and 3.84 ns of the electronics (nest), in quadrature
    pmt_pitch_cm=8.0109,  # XENON's public positions
    pmt_top_radius_cm=65.6,  # the same: 253 tubes
    pmt_bottom_radius_cm=64.09,  # the same: 241 tubes
    s1_bottom_fraction=0.8,  # nest, "rough"
    s1_direct_efficiency=0.27,  # choice: as for DARWIN
    s2_top_fraction=0.748,  # nest
    s2_focused_fraction=0.65,  # choice: as for DARWIN
    s2_light_height_cm=7.5,  # choice: as for DARWIN
    s2_threshold_pe=500.0,  # appletree
    s1_sample_ns=10.0,  # fuse
    s2_sample_ns=10.0,  # fuse
    s1_samples=200,  # choice: as for DARWIN
    s2_samples=5000,  # choice: 50 us hold the S2 of the longest drift
    s2_origin="pulse_start",  # choice: as for DARWIN
)

# Measured in SR0, in the fiducial volume. Accidental pairs (4.3 +- 0.9) and surface events (14 +- 3 in 1.09 t y,
# arXiv:2303.14729) have no spectrum: a study gives them as `user_events`.
BACKGROUNDS = {
    "er": {"spectrum": "flat", "per_ty_keV": 15.8, "relative_uncertainty": 0.082},  # 15.8 +- 1.3, arXiv:2207.11330
    "xe124_ec": {},  # a line, and no part of that level
    "b8": {}, "hep": {}, "atm": {}, "dsnb": {},
    # 1.1 +0.6 -0.5 in 1.09 t y at cS1 < 100 PE (arXiv:2303.14729), after the veto and with an efficiency of 0.82; the
    # spectrum as it stands gives 0.0213 per t y there
    "neutrons": {"level": "achieved", "times": 58.0, "relative_uncertainty": 0.5},
}  # fmt: skip
