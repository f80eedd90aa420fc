"""wimprates, with a halo that ends where its own fastest WIMP does. It takes two seconds to import: who computes a
rate pays, and who reads a study does not.
"""

import warnings
from contextlib import contextmanager
from functools import lru_cache

import numericalunits as nu

with warnings.catch_warnings():  # it announces at import that its defaults are now those we want
    warnings.filterwarnings("ignore", message="Default WIMP parameters are changed", category=UserWarning)
    import wimprates


class Halo(wimprates.StandardHaloModel):
    """wimprates' halo, with speeds integrated up to the fastest WIMP of this `v_0` instead of the default one.

    wimprates ends its integral at v_esc plus the Earth's speed for v_0 = 238 km/s, and takes v_esc from here. Made
    and used within `fixed_units`.
    """

    def __init__(self, v0_km_s, v_esc_km_s):
        v_0, v_esc = v0_km_s * nu.km / nu.s, v_esc_km_s * nu.km / nu.s
        self.v_max = wimprates.v_max(v_esc=v_esc, v_0=v_0)
        super().__init__(v_0=v_0, v_esc=self.v_max - wimprates.v_earth())
        self.true_v_esc = v_esc

    def velocity_dist(self, v, t):
        """Density of speeds in the detector's frame, `wimprates`' own with the escape speed that was asked for."""
        return wimprates.observed_speed_dist(v, t, v_0=self.v_0, v_esc=self.true_v_esc)


@contextmanager
def fixed_units():
    """SI units in the block: numericalunits are random per process, and so would be a rate's last bits.

    In them the Earth's speed is one number, which wimprates makes anew for every speed at which it looks at the halo.
    """
    random_units, v_earth = dict(vars(nu)), wimprates.halo.v_earth
    nu.reset_units("SI")
    wimprates.halo.v_earth = lru_cache(v_earth)
    try:
        yield
    finally:
        vars(nu).update(random_units)
        wimprates.halo.v_earth = v_earth
