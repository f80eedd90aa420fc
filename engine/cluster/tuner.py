"""The largest value of a function of one number: a grid first, then where a sampler expects more. Home of optuna."""

from collections.abc import Callable

import optuna

TOGETHER = 5  # further trials per round: they run side by side, however many workers there are


def maximise(
    evaluate: Callable[[list[float]], list[float]], grid: list[float], more: int, seed: int
) -> dict[float, float]:
    """Values by x of every trial: those of the grid, then `more` of a tree-structured Parzen estimator (TPE).

    `evaluate` takes several x at once and gives their values, of which -inf is one; x > 0 is sought on a log axis
    between the ends of the grid. The study lives in memory and follows from its arguments, so that a second pass
    asks for the same x. (Bergstra et al., NeurIPS 2011; Optuna's sampler of that name.)
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    axis = {"x": optuna.distributions.FloatDistribution(min(grid), max(grid), log=True)}
    for x in grid:
        study.enqueue_trial({"x": x})
    values = {}
    for n_trials in (len(grid), *_rounds(more)):
        trials = [study.ask(axis) for _ in range(n_trials)]
        asked = [_three_digits(trial.params["x"]) if values else trial.params["x"] for trial in trials]
        found = evaluate(asked)
        for trial, value in zip(trials, found, strict=True):
            study.tell(trial, value)
        values |= dict(zip(asked, found, strict=True))
    return values


def _rounds(more: int) -> list[int]:
    return [min(TOGETHER, more - start) for start in range(0, more, TOGETHER)]


def _three_digits(x: float) -> float:
    """Where a sampler looks is no matter of a part in a thousand, and somebody will have to type it."""
    return float(f"{x:.3g}")
