"""Hit patterns: an array of phototubes, each a disc whose colour is its charge."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import EllipseCollection
from matplotlib.colors import LogNorm
from matplotlib.patches import Circle
from scipy.spatial.distance import pdist

FAINTEST_PE = 0.5  # half a photon: what is below has seen nothing
TUBE_SHARE = 0.47  # radius of a drawn disc over the distance of the tubes
EMPTY = (0.93, 0.93, 0.93, 1.0)  # a tube without charge


def charge_scale(hits: dict) -> ScalarMappable:
    """Colours of charges in PE, up to the highest of these patterns; `hits` maps a name to (centres, charges)."""
    highest = max((charge.max(initial=0.0) for _, charge in hits.values()), default=0.0)
    return ScalarMappable(LogNorm(FAINTEST_PE, max(highest, 10 * FAINTEST_PE)), "viridis")


def hit_pattern(axes: Axes, centres_cm, charge, colours: ScalarMappable, radius_cm: float) -> None:
    """A disc for each tube at its centre (n, 2), by its charge (n,) in PE; grey where there is none."""
    disc_cm = TUBE_SHARE * pdist(centres_cm).min()
    faces = colours.to_rgba(np.maximum(charge, FAINTEST_PE))
    faces[charge < FAINTEST_PE] = EMPTY
    placement = {"offsets": centres_cm, "offset_transform": axes.transData, "units": "x"}
    discs = EllipseCollection(2 * disc_cm, 2 * disc_cm, 0, facecolors=faces, lw=0, **placement)  # one path, drawn fast
    axes.add_collection(discs)
    axes.add_patch(Circle((0, 0), radius_cm, fill=False, ec="black", lw=1.2))
    limit = 1.06 * max(radius_cm, np.abs(centres_cm).max() + disc_cm)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="x [cm]", ylabel="y [cm]")
