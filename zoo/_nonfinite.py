"""A loss that is infinite or not a number: where it happened, and which events made it."""

import math
from collections.abc import Callable

import numpy as np

SHOWN = 10  # events named in a message


class NonFiniteLoss(ValueError):
    """The loss of a step was infinite or not a number."""


def is_finite(values: dict[str, float]) -> bool:
    """Whether the loss and all its parts are numbers."""
    return all(map(math.isfinite, values.values()))


def explain(where: str, rows: np.ndarray, evaluate: Callable[[np.ndarray], dict[str, float]]) -> NonFiniteLoss:
    """The error of a batch of these rows; `evaluate(rows)` gives their mean loss and its parts once more.

    An event that fails by itself is to blame for what its batch did; where none does, or all do, it is the weights.
    """
    bad = bad_parts(evaluate(rows))
    guilty = [row for row in rows.tolist() if not is_finite(evaluate(np.array([row])))]
    blame = "all of them" if len(guilty) == len(rows) else f"events {listed(guilty)}" if guilty else "none of them"
    return NonFiniteLoss(
        f"{where}: {bad} in a batch of the events {listed(rows.tolist())}, and "
        f"{blame} by themselves; a smaller learning_rate or another preprocess may keep it finite."
    )


def explain_later(where: str, rows: np.ndarray, values: dict[str, float]) -> NonFiniteLoss:
    """The error of a batch whose loss was read when the weights had moved on: no event can be asked by itself."""
    return NonFiniteLoss(
        f"{where}: {bad_parts(values)} in a batch of the events {listed(rows.tolist())}; losses are read once per "
        "epoch here, a fit on a CPU says which event it is; a smaller learning_rate or another preprocess may keep "
        "it finite."
    )


def bad_parts(values: dict[str, float]) -> str:
    """What is not finite, and what it is instead."""
    bad = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
    return ", ".join(bad) or "the loss is not finite"


def listed(rows: list[int]) -> str:
    """Numbers of events, of many the first SHOWN."""
    return str(rows) if len(rows) <= SHOWN else f"{str(rows[:SHOWN])[:-1]}, ... ({len(rows)} in all)]"
