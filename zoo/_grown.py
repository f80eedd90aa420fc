"""The fit of a family that is no network: it takes all training events at once, and its epochs follow one another.

It needs seconds, so that nothing of it is kept on the way: a fit that was killed, or is asked for again, starts anew
and ends with the same bits.
"""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from zoo._checkpoint import Progress
from zoo._fields import name_of
from zoo._fitted import BATCH_SIZE, Fitted
from zoo._inputs import cut
from zoo._losses import cross_entropy
from zoo._nonfinite import NonFiniteLoss, listed
from zoo._preprocess import Preprocess


def fit_grown(
    family: ModuleType, config: Any, features: np.ndarray, labels: np.ndarray, rows: tuple[np.ndarray, np.ndarray],
    preprocess: Preprocess, seed: int, threads: int, report: Callable | None, until: int | None,
) -> Fitted:  # fmt: skip
    """A fit to the training rows, the first of `rows`; validated on the others. Its other arguments are those of `fit`.

    Raises NonFiniteLoss that names the events whose features are not finite.
    """
    scaled = [preprocess.apply(features[some]) for some in rows]
    for name, some, x in zip(("training", "validation"), rows, scaled, strict=True):
        if (bad := ~torch.isfinite(x).all(dim=1).numpy()).any():
            raise NonFiniteLoss(f"{name_of(family)}, in epoch 1: features of the {name} events "
                                f"{listed(some[bad].tolist())} are not finite")  # fmt: skip
    module, n_epochs = family.build(config, features.shape[1]), config.epochs if until is None else until
    progress = Progress()
    if report is not None:
        report(progress.history)
    with threadpool_limits(threads):
        family.grow(module, scaled[0].double().numpy(), labels[rows[0]], config, min(n_epochs, config.epochs))
    module.requires_grad_(False)
    curves: dict[str, list[float]] = {}
    for name, some, x in zip(("train", "validation"), rows, scaled, strict=True):
        curves |= _curves(f"{name}_", family, module, x, torch.from_numpy(labels[some]))
    while not progress.is_over(config) and len(progress.losses) < n_epochs:
        number = len(progress.losses)
        progress.add({name: curve[number] for name, curve in curves.items()})
        if report is not None:
            report(progress.history)
    module.keep(progress.best_epoch if config.keep == "best" else len(progress.losses))
    return Fitted(family, config, features.shape[1], module.eval(), preprocess, progress.history, seed)


def _curves(
    prefix: str, family: ModuleType, module: torch.nn.Module, x: torch.Tensor, label: torch.Tensor
) -> dict[str, list[float]]:
    """Loss and its parts after every epoch."""
    logits = torch.cat([family.staged(module, x[part]) for part in cut(np.arange(len(x)), BATCH_SIZE)], dim=1)
    curves: dict[str, list[float]] = {}
    for logit in logits:
        mean, parts = cross_entropy(logit, label.double())
        for name, value in ({"loss": mean} | parts).items():
            curves.setdefault(prefix + name, []).append(value.item())
    return curves
