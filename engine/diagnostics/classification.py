"""What a classifier of recoils is worth on one population of events: numbers and the curve, from logits alone."""

import numpy as np

from engine.inference import merit
from engine.inference.pools import effective_size
from engine.inference.significance import clopper_pearson

ACCEPTANCES = {"er_leakage_at_30_percent_nr": 0.3, "er_leakage_at_50_percent_nr": 0.5}
TIED = "er_with_one_logit", "nr_with_one_logit"
TALKS_NR_SHARE = 0.35  # what an accuracy of 98.03 %, recall of 98.07 % and precision of 96.39 % imply (the talks)
ARGOS = "argos", "argos_error", "argos_er_leakage", "argos_nr_acceptance"
CURVE_POINTS = 400
ROUNDING = 1e-12  # of an acceptance: a sum of shares that should reach 0.3

Row = dict[str, object]


def evaluate(is_nr: np.ndarray, logit: np.ndarray, weight: np.ndarray) -> Row:
    """The columns of `engine.schemas.DIAGNOSTICS` that follow from the events, whose arrays are (n,).

    weight: relative number of events of its kind that each stands for. Accuracy and precision are those of as many ER
    as NR, at p = 1/2, whatever the numbers here; AUC counts ties half, and a cut takes all events of equal logits, so
    that it may keep more NR than it is named for. None where a kind has no event.
    """
    called_nr, er, nr = logit > 0, ~is_nr, is_nr
    counts = {
        "n_er": er.sum(), "n_nr": nr.sum(), "er_as_er": (er & ~called_nr).sum(), "er_as_nr": (er & called_nr).sum(),
        "nr_as_er": (nr & ~called_nr).sum(), "nr_as_nr": (nr & called_nr).sum(),
    }  # fmt: skip
    row = {name: int(count) for name, count in counts.items()}
    if not (row["n_er"] and row["n_nr"]):
        return row | _nothing()
    recall, false_rate = _share(called_nr[nr], weight[nr]), _share(called_nr[er], weight[er])
    leaked, kept = curve(is_nr, logit, weight)
    row |= {
        "auc": float(np.trapezoid(kept, leaked)), "accuracy": (recall + 1 - false_rate) / 2, "recall": recall,
        "precision": precision(recall, false_rate, 0.5),
        "precision_at_35_percent_nr": precision(recall, false_rate, TALKS_NR_SHARE),
    }  # fmt: skip
    row |= dict.fromkeys(ARGOS)
    row |= {name: _tied(logit[mine], weight[mine]) for name, mine in zip(TIED, (er, nr), strict=True)}
    for name, acceptance in ACCEPTANCES.items():
        row |= _leakage(name, leaked, kept, acceptance, logit, np.where(er, weight, 0.0))
    er_weight, nr_weight = (np.where(mine, weight, 0.0) for mine in (er, nr))
    found = merit.argos(logit, er_weight, nr_weight)
    if np.isfinite(found.error):
        row |= dict(zip(ARGOS, found, strict=True))
    points, n_events = _thinned(leaked, kept), np.append(0.0, merit.curve(logit, er_weight, nr_weight)[2])
    of_curve = {"roc_er_leakage": leaked, "roc_nr_acceptance": kept, "roc_er_events": n_events}
    return row | {name: values[points] for name, values in of_curve.items()}


def curve(is_nr: np.ndarray, logit: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of ER and of NR at or above every logit there is, from none to all: (distinct logits + 1,) each."""
    order = np.argsort(-logit, kind="stable")
    last = np.append(np.diff(logit[order]) != 0, True)  # of equal logits: a cut takes them all
    sums = (np.cumsum(np.where(mine[order], weight[order], 0.0))[last] for mine in (~is_nr, is_nr))
    leaked, kept = (np.concatenate([[0.0], total / total[-1]]) for total in sums)
    return leaked, kept


def precision(recall: float, false_rate: float, nr_share: float) -> float | None:
    """Share of true NR among what is called NR, where NR are this share of all events; None if nothing is."""
    true, false = nr_share * recall, (1 - nr_share) * false_rate
    return true / (true + false) if true + false else None


def _share(chosen: np.ndarray, weight: np.ndarray) -> float:
    return float(weight[chosen].sum() / weight.sum())


def _tied(logit: np.ndarray, weight: np.ndarray) -> float:
    """Largest share of the events that have one logit, and are more than one."""
    _, place, count = np.unique(logit, return_inverse=True, return_counts=True)
    return float(np.where(count > 1, np.bincount(place, weight), 0.0).max() / weight.sum())


def _leakage(
    name: str, leaked: np.ndarray, kept: np.ndarray, acceptance: float, logit: np.ndarray, er_weight: np.ndarray
) -> Row:
    """ER kept where so many NR are, with its binomial interval, to which the error of the cut adds nothing.

    Its k of n events are the effective number of those kept, which may weigh less than the rest, and as many more as
    the share says.
    """
    cut = int(np.searchsorted(kept, acceptance - ROUNDING))
    leakage, lowest = float(leaked[cut]), np.unique(logit)[-cut]
    k = effective_size(er_weight[logit >= lowest])
    n = k / leakage if k else effective_size(er_weight)
    low, high = clopper_pearson(round(k), round(n))
    return {name: leakage, f"{name}_low": low, f"{name}_high": high}


def _thinned(leaked: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Places of at most CURVE_POINTS points, even in acceptance and in the logarithm of the leakage."""
    half = CURVE_POINTS // 2
    lowest = leaked[leaked > 0].min()
    by_leakage = np.searchsorted(leaked, np.geomspace(lowest, 1, half) * (1 - ROUNDING))
    by_acceptance = np.searchsorted(kept, np.linspace(0, 1, half - 2))
    places = np.concatenate([[0, len(kept) - 1], by_leakage, by_acceptance])
    return np.unique(np.minimum(places, len(kept) - 1))


def _nothing() -> Row:
    names = ("auc", "accuracy", "precision", "precision_at_35_percent_nr", "recall", *TIED, *ARGOS)
    leakages = [f"{name}{end}" for name in ACCEPTANCES for end in ("", "_low", "_high")]
    return dict.fromkeys((*names, *leakages)) | {"roc_er_leakage": [], "roc_nr_acceptance": [], "roc_er_events": []}
