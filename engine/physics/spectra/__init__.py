"""Recoil spectra of the backgrounds and of the signal, in liquid natural xenon.

Contract. A spectrum is a file, and its file name is the name a study uses. At its top stand `KIND` ("ER" or
"NR", the kind of recoil), `RELATIVE_UNCERTAINTY` (1 sigma of the rate, as a fraction of it) and `LABEL` (in
matplotlib's mathtext). `rate(energy_keV)` takes an array of true recoil energies and returns a float64 array
of the same shape: events / (t y keV), finite and >= 0, and 0 outside the spectrum's support. A signal is
scaled by the study: it has `rate(energy_keV, m_chi_GeV, sigma_si_cm2)`, linear in sigma, and no
`RELATIVE_UNCERTAINTY`. Names that begin with an underscore are helpers and not choices.
"""
