"""Events and fitted models -> per-event terms; the score is a weighted sum of their columns."""

import numpy as np
import pyarrow as pa

import zoo
from engine import schemas

TERMS = {"autoencoder": schemas.AUTOENCODER_TERMS, "classifier": schemas.CLASSIFIER_TERMS}


def evaluate(fitted: zoo.Fitted, features: np.ndarray) -> pa.Table:
    """One row per event: `recon` and `kl` (without beta) of an autoencoder, `logit` of a classifier."""
    return schemas.table(TERMS[fitted.family.KIND], zoo.terms(fitted, features))


def anomaly_score(terms: dict[str, np.ndarray], beta: float, R: float) -> np.ndarray:
    """TS = beta KL + reconstruction + R H_B, H_B = -log(1 - p) = softplus(logit) for every event.

    (XLZD, arXiv paper, Eq. 5; EPJC paper, section 3.) From the logit, so that p -> 1 stays finite.
    """
    return negative_elbo(terms, beta) + R * np.logaddexp(0, terms["logit"])


def negative_elbo(terms: dict[str, np.ndarray], beta: float) -> np.ndarray:
    """-ELBO = beta KL + reconstruction, in nat."""
    return beta * terms["kl"] + terms["recon"]
