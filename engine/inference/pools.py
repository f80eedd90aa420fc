"""Scored events as a population: one broad pool serves every spectrum by importance weights."""

from dataclasses import dataclass, replace

import numpy as np

from engine.errors import BadInput

KINDS = ("ER", "NR")  # of recoils: what is thrown over a range of energies and serves every spectrum of its kind
DENSITY_HALF, TOY_HALF = 0, 1  # f0 and thresholds come from one half of the pool, toys from the other


@dataclass(frozen=True)
class Pool:
    """Selected events of all kinds; all arrays have one entry per event.

    kinds: ER, NR, and each component that has events of its own; kind: place in `kinds`; energy_keV: true recoil
    energy; proposal_per_keV: the density it was drawn from; half: 0 or 1, alternating; n_thrown (kinds,): events
    thrown of each kind, selected or not; cs1_pe, cs2_pe: corrected charges; terms: of each role, by their names
    (`vae`: recon, kl; `classifier`: logit).
    """

    kind: np.ndarray
    energy_keV: np.ndarray
    proposal_per_keV: np.ndarray
    half: np.ndarray
    n_thrown: np.ndarray
    cs1_pe: np.ndarray
    cs2_pe: np.ndarray
    terms: dict[str, dict[str, np.ndarray]]
    kinds: tuple[str, ...] = KINDS

    def only(self, kept: np.ndarray) -> "Pool":
        """The pool of these events alone, with the same numbers thrown."""
        shared = ("n_thrown", "terms", "kinds")
        columns = {name: values[kept] for name, values in vars(self).items() if name not in shared}
        terms = {role: {name: values[kept] for name, values in own.items()} for role, own in self.terms.items()}
        return replace(self, **columns, terms=terms)

    def of_kinds(self, names: tuple[str, ...]) -> np.ndarray:
        """(pool,) whether an event is of one of these kinds."""
        return np.isin(self.kind, [self.kinds.index(name) for name in names])

    def groups(self, n: int) -> np.ndarray:
        """(pool,) one of n groups for each event, for a jack-knife.

        A recoil's follows from the last digits of its energy: as good as drawn, so that groups are as unequal as chance
        makes them, and the same recoil thrown under other constants is in the same group. Other events take turns.
        """
        recoil = self.kind < len(KINDS)
        group = np.arange(len(self.kind)) % n
        group[recoil] = np.floor(self.energy_keV[recoil] * 1e6).astype(np.int64) % n
        return group

    def weights(self, kind: str, rate) -> np.ndarray:
        """Selected events per t y that each event stands for, under `rate` (energy_keV -> 1 / (t y keV)).

        Zero for other kinds. Their sum is the rate that passes the selection (importance sampling).
        Raises BadInput for a rate that is negative or no number.
        """
        code = self.kinds.index(kind)
        mine = self.kind == code
        out = np.zeros(len(self.energy_keV))
        out[mine] = _checked(rate, self.energy_keV[mine]) / self.proposal_per_keV[mine]
        return out / self.n_thrown[code]


def _checked(rate, energy_keV: np.ndarray) -> np.ndarray:
    rates = rate(energy_keV)
    bad = ~(np.isfinite(rates) & (rates >= 0))
    if bad.any():
        first, name = int(np.argmax(bad)), getattr(rate, "func", rate).__module__
        raise BadInput(f"{name}: rate({energy_keV[first]:g} keV) = {rates[first]:g}, must be finite and 0 or more")
    return rates


def effective_size(weights: np.ndarray) -> float:
    """Kish's effective sample size of weighted events, (sum w)^2 / sum w^2; 0 for none."""
    squares = np.square(weights).sum()
    return float(weights.sum() ** 2 / squares) if squares > 0 else 0.0
