"""A vertical line Re lambda = t in the plane of the transform of Q, from which its tail follows by inversion.

P(Q >= q) = 1 / (2 pi i) int Phi(lambda) exp(-lambda q) / lambda dlambda along any t > 0 (Bromwich); for t < 0
the same integral is -P(Q < q). With t near the saddle point of q the sum keeps its relative accuracy however
small the tail is (Daniels 1954). The trapezoid rule with step 2 pi / period is exact up to copies of the law
at distances of one period; the transforms are those of the values themselves, never of values on a lattice.

Phi(lambda) = sum_N exp(lambda c(N)) h_N(lambda), h_N the coefficient of z^N in the generating function: an
integral over a circle |z| = r. A circle has relative accuracy where r^N weighs N up, so the range of N is cut
into shelves with circles of their own. Where c(N) = slope N no circle is needed: Phi is the generating function itself
at z = exp(lambda slope), less its terms of no, one and two events, which `atoms.Few` counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import finufft
import numpy as np
from scipy import fft

from engine.inference.exact import generating
from engine.inference.exact.event_sum import LN_R, MOST_OF_FEW, EventSum

ROWS = 64  # frequencies handled at once
FIRST_STRETCH, LONGEST_STRETCH = 512, 8192  # frequencies transformed at once
PRECISION = 1e-14  # of a transform, beside the sum of its weights
MOST_FREQUENCIES = 1 << 16
LEAST_FREQUENCIES = 1024
MOST_OF_EVERY_N = 1 << 13  # frequencies, where none of them takes a circle
MOST_NODES = 10_000_000  # frequencies times nodes of all circles times components, beyond LEAST_FREQUENCIES
LN_COPIES = 45.0  # - ln of what the neighbouring copies of the law may add
MOST_PHASES = 8_000_000  # values times frequencies: bounds the work where a transform does not die out
LEAST_PHASES = 1_000_000  # searched for a revival of the transform, as few distinct values have one
LN_SMALL = -33.0  # ln of what does not matter beside the largest
LN_SILENT = -26.0  # ln of the noise beside the largest, for N of some thousands
HALF_SHELF, BEYOND_SHELF = 4.0, 12.0  # in standard deviations of N; what is around the circle beyond a shelf
OMEGA, MARGIN = np.geomspace(1e-6, np.pi, 400), 1.25
ALIASES = 6.0  # how many arcs, each of omega to one side, two copies along omega are apart at least
HEAVY_ATOMS = 1e-3  # root of the sum of squared atoms (Wiener) above which Q is treated as discrete
FEW_VALUES = 128  # a pool with more has no ties that matter, and an honest q is not moved for their sake
TAPER = 7.0  # a Gaussian factor exp(-TAPER^2 / 2) at the last frequency
BLURS = 3  # order of the blur of a law without ties: its second and fourth moments vanish


@dataclass(frozen=True)
class Shelf:
    """A range of N and the nodes of its circle.

    z (nodes,): r exp(i omega), at these places (nodes,) of n_circle around the circle; arc: the omega beyond which the
    generating function is negligible; ln_top: ln of it at r; counts, penalties (k,); ln_weight (k,): t c(N) + (kappa -
    ln r) N + ln_top - ln_scale; stride: of the N that may stand for all.
    """

    z: np.ndarray
    places: np.ndarray
    arc: float
    ln_top: float
    counts: np.ndarray
    penalties: np.ndarray
    ln_weight: np.ndarray
    n_circle: int
    stride: int

    def is_smooth(self, tau: np.ndarray, turn: np.ndarray) -> np.ndarray:
        """(frequencies,) whether every `stride`-th N stands for all: terms have no phase that turns from one of these N
        to the next as a phase does to which the arc belongs (Poisson's formula: the transform of the terms along N is
        the generating function on the arc, and its copies are 2 pi / stride apart)."""
        steepness = np.diff(self.penalties) if len(self.penalties) > 1 else np.zeros(1)
        ends = tau[:, None] * np.array([steepness.min(), steepness.max()]) + turn[:, None]
        return abs(ends).max(axis=1) < 2 * np.pi / self.stride - self.arc

    def kernel(self, tau: np.ndarray, turn: np.ndarray, stride: int) -> np.ndarray:
        """(frequencies, nodes): sum over every `stride`-th N of the weight, exp(i (tau c(N) + turn N)) and the circle's
        phase.

        turn (frequencies,): the phase taken out of every event, so that the arc lies where the function is.
        """
        some = slice(None, None, stride)
        turned = tau[:, None] * self.penalties[some] + turn[:, None] * self.counts[some]
        n_circle = self.n_circle // stride
        around = fft.fft(np.exp(self.ln_weight[some] + 1j * turned), n_circle, overwrite_x=True)
        return around[:, self.places % n_circle] * np.exp(-1j * self.counts[0] * np.angle(self.z)) / n_circle


@dataclass(frozen=True)
class Contour:
    """Phi along Re lambda = t, in units of exp(ln_scale).

    step: of tau; tau, phi (frequencies,); resolution: width by which the atoms of a discrete Q are blurred, 0
    for none; kappa: of `EventSum.tilted`; turn (frequencies,): phase taken out of the background's events; tables: (z
    (frequencies or 1, nodes), kernel, ln of the background's generating function over exp(ln_top), ln_top) of each
    shelf, if kept; is_blurred: whether the transform did not die out.
    """

    t: float
    step: float
    tau: np.ndarray
    phi: np.ndarray
    ln_scale: float
    resolution: float
    kappa: float
    turn: np.ndarray
    tables: tuple
    is_blurred: bool = False

    def tail(self, q: np.ndarray) -> np.ndarray:
        """P(Q >= q) for t > 0, -P(Q < q) for t < 0; q (k,)."""
        terms = self.phi / (self.t + 1j * self.tau) * np.where(self.tau == 0, 0.5, 1.0)
        total = np.array([(terms * np.exp(-1j * self.tau * x)).sum().real for x in q])
        return total * self.step / np.pi * np.exp(self.ln_scale - self.t * q)

    def middle(self, near: float) -> float:
        """The mean of the law weighted by exp(t q): known but for whole periods, the one next to `near`."""
        off = np.angle(self.phi[1] / self.phi[0] * np.exp(-1j * self.step * near)) / self.step
        return float(near + off)

    def lowest(self, ln_loss: float) -> float:
        """The q at which this line has lost so many e-folds of its accuracy."""
        return float((self.ln_scale + np.log(abs(self.phi[0])) - ln_loss) / self.t)

    def leak(self, q: float) -> float:
        """How much of exp(t q) times the tail is left at q: not small where the law overflows its period."""
        terms = self.phi / (self.t + 1j * self.tau) * np.where(self.tau == 0, 0.5, 1.0)
        total = (terms * np.exp(-1j * self.tau * q)).sum().real
        return float(abs(total * self.t * self.step / np.pi) / abs(self.phi[0]))

    def with_signal(self, values: np.ndarray, signal: np.ndarray) -> "Contour":
        """This line for the law with a further component, from the tables that were kept; both (k,)."""
        weights = signal * np.exp(self.t * values - self.kappa)
        added = pool_transform(values, weights[None], self.tau, self.step)[0] * np.exp(-1j * self.turn)
        phi = np.zeros(len(self.tau), dtype=np.complex128)
        for z, kernel, ln_g, _ in self.tables:
            exponent = ln_g + z * added[:, None] - signal.sum()
            phi += (kernel * np.exp(exponent)).sum(axis=1)
        return replace(self, phi=phi, tables=())

    def without_each(self, events: EventSum, group: np.ndarray, groups: int) -> Iterator["Contour"]:
        """This line for the law of a pool that lacks each of so many groups in turn, from the tables that were kept.

        events: those of the law, not merged; group (n,): of each; what is left of them stands for all.
        """
        weights, scale = events.weights * np.exp(self.t * events.values - self.kappa), groups / (groups - 1)
        parts = [(events.values[group == g], weights[:, group == g]) for g in range(groups)]
        transformed = np.array([pool_transform(*part, self.tau, self.step) for part in parts])
        expected = np.array([events.weights[:, group == g].sum(axis=1) for g in range(groups)])
        left = (transformed.sum(axis=0) - transformed) * (scale * np.exp(-1j * self.turn))
        for rates, number in zip(left, (expected.sum(axis=0) - expected) * scale, strict=True):
            phi = np.zeros(len(self.tau), dtype=np.complex128)
            for z, kernel, _, ln_top in self.tables:
                ln_g = generating.ln_generating(z, rates[:, :, None], number, events.relative_sd)
                phi += (kernel * np.exp(ln_g - ln_top)).sum(axis=1)
            yield replace(self, phi=phi, tables=())


def copies_apart(t: np.ndarray, k: np.ndarray, index: int, ln_p: float) -> float:
    """The period for the line through t[index]: the copies of the law weighted by exp(t q) must not overlap.

    k = ln E exp(t Q) at all t bounds its two tails (Chernoff); the pole at 0 leaves exp(-|t| period) of the
    other tail, which must be small beside p = exp(-ln_p).
    """
    other = np.arange(len(t)) != index
    reach = (k[other] - k[index] + LN_COPIES) / (t[other] - t[index])
    above = t[other] > t[index]
    width = reach[above].min() - reach[~above].max()
    return float(max(width, (LN_COPIES + ln_p) / abs(t[index])))


def pool_transform(values: np.ndarray, weights: np.ndarray, tau: np.ndarray, step: float) -> np.ndarray:
    """(components, frequencies): sum_i w_ji exp(i tau y_i), for tau that are multiples of `step`, ascending.

    By a non-uniform fast transform (Barnett et al. 2019, SIAM J. Sci. Comput. 41, C479), to 1e-13 of the sum of w_j.
    """
    number = np.rint(tau / step).astype(int)
    n, middle = number[-1] - number[0] + 1, number[0] + (number[-1] - number[0] + 1) // 2
    turned = np.ascontiguousarray(weights * np.exp(1j * middle * step * values))
    all_of_them = finufft.nufft1d1(step * values, turned, (n,), eps=PRECISION, isign=1, nthreads=1)
    return all_of_them.reshape(len(weights), n)[:, number - number[0]]


def transforms(values: np.ndarray, weights: np.ndarray, step: float, most: int) -> Iterator[np.ndarray]:
    """`pool_transform` at tau = 0, step, 2 step, ... (components, ROWS), made in stretches that grow: most laws need
    some hundreds of frequencies."""
    first, n = 0, FIRST_STRETCH
    while first < most:
        stretch = pool_transform(values, weights, step * np.arange(first, min(first + n, most)), step)
        yield from np.split(stretch, range(ROWS, stretch.shape[1], ROWS), axis=1)
        first, n = first + n, min(2 * n, LONGEST_STRETCH)


def shelves(law: EventSum, t: float, wanted: np.ndarray) -> tuple[list[Shelf], float, float, np.ndarray]:
    """Shelves over the wanted N (bool, one per count of the law); ln_scale, kappa and the tilted weights."""
    kappa, tilt = law.tilted(t)
    weights = law.weights * tilt
    mean, variance, _ = law.count_saddles(weights.sum(axis=1))
    ln_scale = float(law.ln_terms(t)[wanted].max())
    counts, penalties = law.counts[wanted], law.penalties[wanted]
    ranges = _ranges(counts, mean, variance, 1)
    circles = [_circle(law, weights.sum(axis=1), np.exp(ln_r)) for _, _, ln_r in ranges]
    stride = max(1, int(2 * np.pi / (ALIASES * max(arc for arc, _ in circles)))) if counts[0] > 3 else 1
    if stride > 1:
        ranges = _ranges(counts, mean, variance, stride)
        circles = [_circle(law, weights.sum(axis=1), np.exp(ln_r)) for _, _, ln_r in ranges]
    out = []
    for (some, sd, ln_r), (arc, ln_top) in zip(ranges, circles, strict=True):
        n_circle = stride * fft.next_fast_len(1 + int(BEYOND_SHELF * sd + (some.stop - some.start) + 64) // stride)
        last = min(int(np.ceil(arc * n_circle / (2 * np.pi))) + 2, n_circle // 2)
        k = np.arange(n_circle) if 2 * last >= n_circle - 1 else np.arange(-last, last + 1)
        z = np.exp(ln_r + 2j * np.pi / n_circle * k)
        ln_weight = t * penalties[some] + (kappa - ln_r) * counts[some] + ln_top - ln_scale
        out.append(Shelf(z, k % n_circle, arc, ln_top, counts[some], penalties[some], ln_weight, n_circle, stride))
    return out, ln_scale, kappa, weights


def _ranges(counts: np.ndarray, mean: np.ndarray, variance: np.ndarray, stride: int) -> list:
    """(slice of the counts, sd of N in its middle, ln r) of each shelf; all but the last have multiples of `stride`."""
    first, out = 0, []
    while first < len(counts):
        sd = np.sqrt(np.interp(counts[first], mean, variance))
        sd = np.sqrt(np.interp(counts[first] + HALF_SHELF * sd, mean, variance))
        n = -(-(int(2 * HALF_SHELF * sd) + 16) // stride) * stride
        some = slice(first, min(first + n, len(counts)))
        ln_r = np.interp((counts[some.start] + counts[some.stop - 1]) / 2, mean, LN_R)
        out.append((some, float(sd), float(ln_r)))
        first = some.stop
    return out


def _circle(law: EventSum, total: np.ndarray, r: float) -> tuple[float, float]:
    """The omega beyond which the generating function at r exp(i omega) is negligible, with a margin; ln of it at r."""
    z = r * np.exp(1j * np.append(0.0, OMEGA))
    ln_g = generating.ln_generating(z, total[:, None], law.expected, law.relative_sd).real
    last = np.flatnonzero(ln_g > ln_g[0] + LN_SMALL)[-1]
    return min(MARGIN * OMEGA[min(last, len(OMEGA) - 1)], np.pi), float(ln_g[0])


def contour(law: EventSum, t: float, period: float, wanted: np.ndarray, *, keep: bool = False) -> Contour:
    """The line through t; `keep` keeps the tables that `Contour.with_signal` and `without_each` need.

    Frequencies are added until the transform has died out for good, or the work's bound is reached.
    """
    if law.slope is not None and law.share_of_few(t) < MOST_OF_FEW:
        return _over_every_n(law, t, period)
    floor, ln_scale, kappa, weights = shelves(law, t, wanted)
    step, n_values = 2 * np.pi / period, len(law.values)
    nodes = sum(len(shelf.z) for shelf in floor) * len(law.weights)
    most = min(MOST_FREQUENCIES, max(LEAST_FREQUENCIES, min(MOST_PHASES // n_values, MOST_NODES // nodes)))
    tau, phi, turn, tables = [], [], [], [([], []) for _ in floor]
    terms, quiet, silent = law.ln_terms(t)[wanted] - ln_scale, _quiet(law.penalties[wanted]), False
    for block, total in enumerate(transforms(law.values, weights, step, most)):
        first = block * ROWS
        rows = step * np.arange(first, first + total.shape[1])
        if silent and rows[-1] < quiet:
            continue
        alive = _alive(law, floor, total, weights.sum(axis=1), terms)
        silent = not alive.any()
        if silent and first * n_values > LEAST_PHASES:
            break
        if silent:
            continue
        rows, total = (rows, total) if keep else (rows[alive], total[:, alive])
        tau.append(rows)
        turn.append(np.angle(total.sum(axis=0)))
        phi.append(_transform(law, floor, rows, turn[-1], total, tables if keep else None))
        silent = abs(phi[-1][-ROWS // 2 :]).max() < np.exp(LN_SILENT) * abs(phi[0][0])
    tau, phi = np.concatenate(tau), np.concatenate(phi)
    resolution = _resolution(tau, phi, step, most)
    ties = resolution if n_values <= FEW_VALUES else 0.0
    phi = phi * _taper(t + 1j * tau, resolution, 1 if ties else BLURS)
    kept = tuple((shelf.z, np.concatenate(kernel), np.concatenate(ln_g), shelf.ln_top)
                 for shelf, (kernel, ln_g) in zip(floor, tables, strict=True) if kernel)  # fmt: skip
    return Contour(t, step, tau, phi, ln_scale, ties, kappa, np.concatenate(turn), kept, resolution > 0)


def _over_every_n(law: EventSum, t: float, period: float) -> Contour:
    """The line through t where the penalty is slope N: the generating function itself, less what N <= 2 have of it."""
    kappa, tilt = law.tilted(t)
    weights, step, n_values = law.weights * tilt, 2 * np.pi / period, len(law.values)
    ln_scale, parts = law.cumulant(t), []
    for block, total in enumerate(transforms(law.values, weights, step, MOST_OF_EVERY_N)):
        tau = step * np.arange(block * ROWS, block * ROWS + total.shape[1])
        z, ln_g = law.of_every_n(t, tau, total)
        phi = np.exp(ln_g - ln_scale) - law.of_few(z, total) * np.exp(-ln_scale)
        parts.append((tau, phi, z, ln_g - ln_scale))
        if abs(phi).max() < np.exp(LN_SMALL) and block * ROWS * n_values > LEAST_PHASES:
            break
    tau, phi, z, ln_g = (np.concatenate(column) for column in zip(*parts, strict=True))
    resolution = _resolution(tau, phi, step, MOST_OF_EVERY_N)
    ties = resolution if n_values <= FEW_VALUES else 0.0
    phi = phi * _taper(t + 1j * tau, resolution, 1 if ties else BLURS)
    tables = ((z[:, None], np.ones((len(tau), 1)), ln_g[:, None], ln_scale),)
    return Contour(t, step, tau, phi, ln_scale, ties, kappa, np.zeros(len(tau)), tables, resolution > 0)


def _taper(line: np.ndarray, resolution: float, blurs: int) -> np.ndarray:
    """What makes a sum over frequencies converge where the transform does not die out: a blur of Q, transformed.

    A Gaussian g moves P by resolution^2 / 2 of its second derivative: some 1e-3 of it where most experiments hold
    nothing and Q has an atom there, however far q is from the atom. 1 - (1 - g)^n is a blur whose first 2 n - 1 moments
    vanish (a kernel of higher order: Wand & Jones 1995, section 2.8), so that what is smooth stays as it is. It is not
    positive: within some four resolutions of an atom P overshoots, so that few values, all atoms, keep the Gaussian.
    """
    return 1 - (1 - np.exp(0.5 * resolution**2 * line * line)) ** blurs


def _quiet(penalties: np.ndarray) -> float:
    """The frequency below which a sum over N, once it has died out, stays so.

    It can revive only where exp(i tau c(N)) turns by a whole turn from one N to the next; half a turn is safe.
    """
    steepest = abs(np.diff(penalties)).max(initial=0.0)
    return np.pi / steepest if steepest > 0 else np.inf


def _alive(law: EventSum, floor: list[Shelf], total: np.ndarray, top: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Frequencies at which |Phi| may be seen, by two bounds; terms: ln of E[exp(t Q); N] over the shelves' N.

    The generating function is largest where all phases agree; and no term in N falls slower than the N-th
    power of the component that falls slowest.
    """
    smaller = np.minimum(abs(total), top[:, None])
    seen = np.zeros(total.shape[1], dtype=bool)
    for shelf in floor:
        ln_g = generating.ln_generating(abs(shelf.z[0]), smaller, law.expected, law.relative_sd).real - shelf.ln_top
        seen |= ln_g + min(shelf.ln_weight.max(), 0.0) > LN_SMALL
    ln_slowest = np.log(np.maximum((smaller / top[:, None]).max(axis=0), np.finfo(float).tiny))
    counts = np.concatenate([shelf.counts for shelf in floor])
    return seen & np.array([(terms + counts * x).max() > LN_SMALL for x in ln_slowest])


def _transform(law: EventSum, floor: list[Shelf], tau, turn, total: np.ndarray, tables) -> np.ndarray:
    """Phi at some frequencies (f,); total (components, f): A_j; turn (f,): the phase of their sum."""
    phi, total = np.zeros(len(tau), dtype=np.complex128), total * np.exp(-1j * turn)
    smooth = np.all([shelf.is_smooth(tau, turn) for shelf in floor], axis=0)
    for number, shelf in enumerate(floor):
        ln_g = generating.ln_generating(shelf.z, total[:, :, None], law.expected, law.relative_sd) - shelf.ln_top
        kernel = np.empty((len(tau), len(shelf.z)), dtype=np.complex128)
        for stride, some in ((shelf.stride, smooth), (1, ~smooth)):
            if some.any():
                kernel[some] = shelf.kernel(tau[some], turn[some], stride)
        phi += (kernel * np.exp(ln_g)).sum(axis=1)
        if tables is not None:
            tables[number][0].append(kernel)
            tables[number][1].append(ln_g)
    return phi


def _resolution(tau: np.ndarray, phi: np.ndarray, step: float, most: int) -> float:
    """0 where Q's atoms are too light to matter or there are none; else the blur that makes the sum converge.

    What is left in the last half of all frequencies is the atoms' doing (Wiener's lemma).
    """
    left = abs(phi[tau > most * step / 2])
    heavy = np.sqrt((left**2).sum() / (most / 2)) > HEAVY_ATOMS * abs(phi[0])
    return TAPER / (most * step) if heavy else 0.0
