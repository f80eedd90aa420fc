"""Rate nuisances: which components share one, and the fit of an extended likelihood over them.

A data set is seen as rows with a density per group: one row per event, per cell of like events, or per event of an
Asimov data set, each with the number of events that it stands for. One fit then serves all of them.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from engine.errors import BadInput

# Semi-supervised search in DARWIN (Aalbers et al.), Table 3: what varies together. A component that is not named
# there (DSNB, CNO, 124Xe, a user's own) keeps a nuisance of its own.
TABLE_3 = {
    "er_intrinsic": ("xe136", "pb214", "kr85"),
    "er_solar": ("pp", "be7", "pep"),
    "nr_solar": ("b8", "hep"),
    "nr_atmospheric": ("atm",),
    "nr_radiogenic": ("neutrons",),
}

FREE = float("inf")  # relative_sd of a rate without constraint
MAX_STEPS = 200
TOLERANCE = 1e-9  # in ln L: the decrease that a Newton step still promises


@dataclass(frozen=True)
class Groups:
    """Components that share a rate nuisance. member (groups, components): 1 where the component belongs."""

    names: tuple[str, ...]
    member: np.ndarray
    relative_sd: np.ndarray

    def sum(self, per_component: np.ndarray) -> np.ndarray:
        """(..., components) -> (..., groups)."""
        return per_component @ self.member.T


def groups(names: tuple[str, ...], relative_sd: np.ndarray, shared: dict = TABLE_3) -> Groups:
    """The rate nuisances of a study's components: those of Table 3 that occur, then one for each other component.

    shared = {} gives every component its own. Raises BadInput where one nuisance would have two widths.
    """
    owner = {name: group for group, members in shared.items() for name in members}
    wanted = [owner.get(name, name) for name in names]
    owners = tuple(dict.fromkeys([*(g for g in shared if g in wanted), *wanted]))
    member = np.array([[float(group == own) for own in wanted] for group in owners])
    widths = [{float(sd) for own, sd in zip(wanted, relative_sd, strict=True) if own == group} for group in owners]
    for group, width in zip(owners, widths, strict=True):
        if len(width) > 1:
            raise BadInput(f"components of the nuisance {group!r} differ in relative uncertainty: {sorted(width)}")
    return Groups(owners, member, np.array([width.pop() for width in widths]))


def nuisances(names: tuple[str, ...], relative_sd: np.ndarray) -> Groups:
    """The rate nuisances of components, with relative_sd (components,), of which none is refused.

    A group of Table 3 whose members were given different uncertainties is no group.
    """
    sd = dict(zip(names, relative_sd, strict=True))
    alike = {
        group: members for group, members in TABLE_3.items() if len({sd[name] for name in members if name in sd}) == 1
    }
    return groups(names, relative_sd, alike)


@njit(cache=True)
def objective(theta, rows, counts, expected, relative_sd):
    """-ln L of theta (groups,), but for terms without theta; infinite where a row has no density left.

    -ln L = sum_g theta_g b_g - sum_r n_r ln(sum_g theta_g b_g f_g(x_r)) + sum_g (theta_g - 1)^2 / (2 sd_g^2), the
    extended form of Eqs. 8 and 9 of the semi-supervised search in DARWIN (Aalbers et al.). rows (rows, groups):
    b_g f_g; counts (rows,): n_r; expected (groups,): b_g; a width of zero or infinity puts no constraint.
    """
    total = 0.0
    for g in range(len(theta)):
        total += theta[g] * expected[g]
        if 0 < relative_sd[g] < np.inf:
            total += 0.5 * ((theta[g] - 1) / relative_sd[g]) ** 2
    for r in range(len(rows)):
        if counts[r] > 0:
            density = 0.0
            for g in range(len(theta)):
                density += theta[g] * rows[r, g]
            if density <= 0:
                return np.inf
            total -= counts[r] * np.log(density)
    return total


@njit(cache=True)
def _derivatives(theta, rows, counts, expected, relative_sd):
    n = len(theta)
    gradient, hessian = expected.copy(), np.zeros((n, n))
    for r in range(len(rows)):
        if counts[r] > 0:
            density = 0.0
            for g in range(n):
                density += theta[g] * rows[r, g]
            for g in range(n):
                slope = rows[r, g] / density
                gradient[g] -= counts[r] * slope
                for h in range(g + 1):
                    hessian[g, h] += counts[r] * slope * rows[r, h] / density
    for g in range(n):
        if 0 < relative_sd[g] < np.inf:
            gradient[g] += (theta[g] - 1) / relative_sd[g] ** 2
            hessian[g, g] += 1 / relative_sd[g] ** 2
        for h in range(g):
            hessian[h, g] = hessian[g, h]
    return gradient, hessian


@njit(cache=True)
def _newton_step(theta, gradient, hessian, held):
    """The step of the coordinates that may move: not those held, nor those at zero that want to go below."""
    n = len(theta)
    matrix, right = hessian.copy(), -gradient
    for g in range(n):
        if held[g] or (theta[g] <= 0 and gradient[g] >= 0):
            matrix[g, :], matrix[:, g], right[g] = 0.0, 0.0, 0.0
            matrix[g, g] = 1.0
        else:
            matrix[g, g] = matrix[g, g] * (1 + 1e-12) + 1e-12  # two groups of one shape, both without constraint
    return np.linalg.solve(matrix, right)


@njit(cache=True)
def minimise(start, held, rows, counts, expected, relative_sd):
    """theta >= 0 (groups,) that minimises the objective, and the minimum, by Newton's method on the bounded region.

    held (groups,): coordinates that stay at their start. The objective is convex, so that the minimum is the only
    one; a step that does not lower it is halved. Raises RuntimeError if it has not settled after MAX_STEPS.
    """
    theta = start.copy()
    value = objective(theta, rows, counts, expected, relative_sd)
    for _ in range(MAX_STEPS):
        gradient, hessian = _derivatives(theta, rows, counts, expected, relative_sd)
        step = _newton_step(theta, gradient, hessian, held)
        if -np.dot(gradient, step) < TOLERANCE:
            return theta, value
        scale = 1.0
        while scale > 1e-12:
            trial = np.maximum(theta + scale * step, 0.0)
            there = objective(trial, rows, counts, expected, relative_sd)
            if there < value:
                break
            scale /= 2
        if scale <= 1e-12:  # no lower value can be told from this one in double precision
            return theta, value
        theta, value = trial, there
    raise RuntimeError("the fit of the rates did not converge")


def fit(
    rows: np.ndarray, counts: np.ndarray, expected: np.ndarray, relative_sd: np.ndarray
) -> tuple[np.ndarray, float]:
    """Profiled rates theta (groups,) and -ln L there, for rows (rows, groups) that hold counts (rows,) events.

    A rate with relative_sd = 0 is known and stays at 1; one with relative_sd = FREE is unconstrained.
    """
    return minimise(np.ones(len(expected)), relative_sd == 0, rows, counts.astype(np.float64), expected, relative_sd)
