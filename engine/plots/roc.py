"""ROC of the classifier: NR kept against ER leaked."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import auc, roc_curve

from engine.plots import canvas, styled

NR_ACCEPTANCE = 0.3  # benchmark acceptance of the DARWIN studies quoted by the papers


@styled
def roc(logit_er: np.ndarray, logit_nr: np.ndarray) -> Figure:
    """True positive (NR) against false positive rate (ER), with the AUC; NR has the higher logit.

    A cross marks the ER leakage at 30 % NR acceptance; if no ER event leaks there, an arrow marks 1 / n_er.
    """
    figure, axes = canvas()
    axes.set(xlabel="ER leakage (false positive rate)", ylabel="NR acceptance (true positive rate)")
    if len(logit_er) == 0 or len(logit_nr) == 0:
        axes.text(0.5, 0.5, f"{len(logit_er)} ER and {len(logit_nr)} NR events", ha="center")
        return figure
    truth = np.repeat([0, 1], [len(logit_er), len(logit_nr)])
    leaked, kept, _ = roc_curve(truth, np.concatenate([logit_er, logit_nr]), drop_intermediate=False)
    axes.plot(leaked, kept, lw=2, label=f"AUC = {auc(leaked, kept):.4f}")
    axes.set(xscale="log", xlim=(0.5 / len(logit_er), 1), ylim=(0, 1.02))
    _benchmark(axes, leaked[np.searchsorted(kept, NR_ACCEPTANCE)], 1 / len(logit_er))
    axes.legend(loc="lower right")
    return figure


def _benchmark(axes: Axes, leakage: float, one_event: float) -> None:
    at, limit = max(leakage, one_event), leakage < one_event
    label = f"leakage {'<' if limit else '='} {at:.2g} at {NR_ACCEPTANCE:.0%} NR"
    axes.axhline(NR_ACCEPTANCE, color="0.6", ls=":", lw=1)
    axes.plot(at, NR_ACCEPTANCE, "<" if limit else "x", color="black", ms=10, mew=2.5, ls="none", label=label)
