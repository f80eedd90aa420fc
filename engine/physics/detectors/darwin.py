"""DARWIN: 2.6 m x 2.6 m, 40 t active, 31.5 t fiducial, 200 V/cm (the papers' detector).

The papers' own simulation is private. Its public twin is the "DARWIN baseline detector" of the study
DanielBaur/sfsv2 ("sfs" below); NEST is nestpy 2.1.3; "choice" marks a modelling choice without a source.
"""

from engine.physics.detectors import TPC

# A choice for `light_collection_map`, whose own is nearly flat: linear, the cathode sees twice the surface's light.
STEEP_LIGHT_COLLECTION_MAP = (1.0, -0.00517)

CONSTANTS = TPC(
    drift_field_V_cm=200.0,  # the papers, section 3.1
    radius_cm=130.0,  # the papers, section 2
    drift_length_cm=260.0,  # the papers, section 2
    wall_distance_cm=9.6,  # choice: equal distance to every wall that leaves the papers' 31.5 t
    density_g_cm3=2.8749,  # NEST SetDensity at this temperature
    g1=0.125,  # sfs (scanned there from 0.080 to 0.170)
    g1_gas=0.125,  # sfs
    el_photons_per_electron=497.6,  # NEST's formula at 8 kV/cm over a 7 mm gap (nestpy's CalculateG2: 500.5)
    el_fano=2.0,  # sfs
    extraction=0.7295,  # NEST's formula at 8 kV/cm, 175 K (CalculateG2: 0.7258); g2 is 45.37, there and in sfs 45.40
    electron_lifetime_us=10_000.0,  # sfs (scanned there from 0.8 to 19.2 ms)
    drift_velocity_mm_us=1.5249,  # NEST at 200 V/cm, 175 K
    diffusion_longitudinal_cm2_s=17.97,  # NEST at 200 V/cm
    electron_trapping_us=0.416,  # NEST at 200 V/cm (0.140 in fuse)
    gas_transit_us=1.27,  # NEST: 7 mm at 5.52 mm/us
    light_collection_map=(0.568299226, 7.29787915e-5, -4.37731127e-6, -6.39383595e-8, -1.873874e-10),  # flamedisx
    light_collection_height_cm=193.36,  # flamedisx xlzd.py: made for a shorter detector, stretched here (choice)
    double_pe_probability=0.20,  # sfs
    spe_resolution=0.35,  # sfs (0.38 in flamedisx)
    spe_rise_ns=1.4,  # pax's XENON1T.ini: 3.0 ns from 10 to 90 %, seen with a scope
    spe_fall_ns=15.0,  # XENON1T's pulse halves in 10 ns (inverse of straxen's pmt_pulse_filter); without its long tail
    baseline_noise_pe=0.01,  # choice: five of it stay under XENON1T's threshold of a tenth of a PE (arXiv:1906.00819)
    dark_count_rate_hz=40.0,  # R11410-21 at -100 C (arXiv:1609.01654); 50 above 0.3 PE in arXiv:1202.2628
    sample_step_pe=0.1,  # choice: finer than a single PE, whose pulse lasts over three samples, and 16 bits hold the S2
    s1_coincidence=4,  # the papers: N4T200
    s1_coincidence_ns=200.0,  # the papers: N4T200
    s1_transport_ns=17.5,  # choice between 15 and 20; LUX 11.15 in NEST
    pmt_transit_ns=5.42,  # 9 ns FWHM of the tube (fuse) and 3.84 ns of the electronics (NEST), in quadrature
    pmt_pitch_cm=8.0109,  # XENONnT's public positions; gives 955 tubes within the radius
    pmt_top_radius_cm=130.0,  # choice: the TPC's radius
    pmt_bottom_radius_cm=130.0,  # choice: the TPC's radius
    s1_bottom_fraction=0.8,  # choice: that of XENONnT
    s1_direct_efficiency=0.27,  # flamedisx xlzd.ini: quantum and collection efficiency, photons detected per photon
    s2_top_fraction=0.63,  # fuse, public configuration
    s2_focused_fraction=0.65,  # choice: part of the top light that falls off from the event's position
    s2_light_height_cm=7.5,  # choice: gas gap to window
    s2_threshold_pe=0.0,  # the papers name none
    s1_sample_ns=10.0,  # fuse and NEST; that DARWIN used it is a choice
    s2_sample_ns=10.0,  # the same
    s1_samples=200,  # choice: the split of the 1925 samples is only in a figure
    s2_samples=1725,  # choice; from s1_trigger on, they hold the longest drift at 1 us each
    s2_origin="pulse_start",  # choice: the papers' check deviates at small pulse times, so pulses start there
)

# Rates of a spectrum's own defaults, DARWIN's goals of purity: 0.1 uBq/kg of 222Rn, 0.03 ppt of natural krypton.
BACKGROUNDS = {
    name: {} for name in ("pp", "be7", "pb214", "kr85", "xe136", "b8", "hep", "atm", "dsnb", "neutrons")
}  # fmt: skip
