"""Constants. Recoil energies are in keV, neutrino energies in MeV, exposures in tonne years."""

KEV_PER_MEV = 1e3  # keV / MeV
ELECTRON_MASS_MEV = 0.51099895  # MeV, CODATA 2018
ATOMIC_MASS_MEV = 931.49410242  # MeV per unified atomic mass unit, CODATA 2018
FINE_STRUCTURE = 7.2973525693e-3  # alpha, CODATA 2018
FERMI_PER_MEV2 = 1.1663787e-11  # MeV^-2, G_F / (hbar c)^3, CODATA 2018
HBARC_MEV_FM = 197.3269804  # MeV fm, CODATA 2018
HBARC_MEV_CM = HBARC_MEV_FM * 1e-13  # MeV cm
SIN2_THETA_W = 0.2387  # weak mixing angle at low momentum transfer, O'Hare 2109.03116
SECONDS_PER_YEAR = 365.25 * 86400.0  # s, Julian year
AVOGADRO = 6.02214076e23  # 1 / mol, exact in the SI of 2019
XENON_MOLAR_MASS = 131.293  # g / mol, natural xenon, IUPAC
XENON_ELECTRONS = 54  # electrons per atom
ATOMS_PER_TONNE = AVOGADRO / XENON_MOLAR_MASS * 1e6  # xenon atoms in 1 t
