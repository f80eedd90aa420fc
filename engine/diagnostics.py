"""How good the fitted models are, on events that no fit has seen: numbers and arrays, no figures."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.stats import spearmanr

NR_ACCEPTANCE = 0.3  # where the papers quote the leakage of electron recoils


@dataclass(frozen=True)
class Diagnostics:
    """Test events (both kinds uniform in energy) as the models see them, and the numbers made of them."""

    is_nr: np.ndarray
    energy_keV: np.ndarray
    logit: np.ndarray
    negative_elbo: np.ndarray

    def er_leakage(self, nr_acceptance: float) -> float:
        """Share of the electron recoils that look as much like nuclear ones as this share of those does."""
        cut = np.quantile(self.logit[self.is_nr], 1 - nr_acceptance)
        return float(np.mean(self.logit[~self.is_nr] >= cut))

    @cached_property
    def numbers(self) -> dict[str, float]:
        """AUC (ties count half), accuracy at p = 1/2, ER leakage at 30 % NR acceptance, Spearman correlations.

        The correlations are of -ELBO with the true energy, for each kind.
        """
        from sklearn.metrics import roc_auc_score  # seconds to import: only the end of a scan pays

        er, nr = ~self.is_nr, self.is_nr
        return {
            "auc": float(roc_auc_score(self.is_nr, self.logit)),
            "accuracy": float(np.mean((self.logit > 0) == self.is_nr)),
            "er_leakage_at_30_percent_nr": self.er_leakage(NR_ACCEPTANCE),
            "spearman_elbo_energy_er": float(spearmanr(self.negative_elbo[er], self.energy_keV[er]).statistic),
            "spearman_elbo_energy_nr": float(spearmanr(self.negative_elbo[nr], self.energy_keV[nr]).statistic),
        }
