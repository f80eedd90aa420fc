"""Recoil spectra of the backgrounds and of the signals, in liquid natural xenon.

**A spectrum is a file**, and its file name is the name a study uses. At its top stand `KIND` ("ER" or "NR", the
kind of recoil), `RELATIVE_UNCERTAINTY` (1 sigma of the rate, as a fraction of it) and `LABEL` (in matplotlib's
mathtext). `rate(energy_keV)` takes an array of true recoil energies and returns a float64 array of the same
shape: events / (t y keV), finite and >= 0, and 0 outside the spectrum's support.

**A signal with a mass** says as `SIZE` what its rate is linear in: the name, unit and meaning of an axis of a study,
for one a cross-section; and, if it likes, the ranges of size and mass beyond which a study must confirm a value, since
another unit is more likely. Its `rate(energy_keV, m_chi_GeV, <SIZE.name>)` takes the value under that name, and it
has no `RELATIVE_UNCERTAINTY`. Another interaction is one more file that names its own axis. Every other spectrum may be
a signal too, multiplied by a strength; `size(spectrum)` gives the axis of either.

**Options.** A spectrum with choices has a class `Options`, derived from the one here: its fields are what `rate`
takes as keywords, with the same defaults, so that `rate(energy_keV, **options.model_dump())` works. A caller reads
them with `configure(spectrum, fields)`, and for a spectrum without the class that gives options without fields.

**What depends on options** is asked for, never read from the module: `describe(spectrum, options)` gives the kind
and the uncertainty, None for a signal, and `identity(spectrum, options)` what enters a digest. A module whose kind
is the user's choice has functions `describe(options)` and `identity(options)` in place of its two constants.

`reaches_keV(m_chi_GeV, options)`, of a signal with a mass: an energy up to which, from 0, its rate is certainly above
0, if that is known sooner than a rate is computed: a study is then read without one.

A module may have `note(options)`: a clause that is printed beneath its rate, where the rate is not what its formula or
its source alone would give.

`left_out(options)`: one on what of a spectrum no event can be made of, which a scan prints.

**Events of its own.** A background whose events are no ordinary recoils has `throw(n, rng, options)` beside `rate`:
(n,) true energies drawn from its spectrum, their density in 1 / keV, and the charge yields over those of an ordinary
recoil of its kind. A background that *is* events has `read` in place of `rate`: see `user_events`, the only one. The
pool's events of either serve that component alone. Beside `throw`, `charge_kept(n, rng, options)` gives (n,) chances of
an electron not to be lost, and `PAIRED = True` says that S1 and S2 are of different recoils. `MOVES_EVENTS` names
options that `throw` heeds and `rate` does not: systematics may move them.

Names that begin with an underscore are helpers and not choices; `data` holds tables, each with its source.
"""

from engine.physics.spectra._options import Options, configure, describe, has_own_events, identity, size

__all__ = ["Options", "configure", "describe", "has_own_events", "identity", "size"]
