"""Where a condition on a number turns over: bisection by the standard library's `bisect`, on integers and reals."""

from bisect import bisect_left
from collections.abc import Callable


def first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first integer in low ... high - 1 from which on it holds; high if it never does."""
    return bisect_left(range(high), True, low, key=lambda n: bool(holds(n)))


def bracket(holds: Callable[[float], bool], low: float, high: float, halvings: int) -> tuple[float, float]:
    """The piece of low ... high, halved so many times, at whose upper end it holds and at whose lower end it does not.

    It holds at high and not at low. A condition and not a function, for a law that has steps passes no value.
    """
    pieces = 2**halvings

    def end(piece: int) -> float:
        return low + (high - low) * (piece / pieces)

    upper = first(lambda piece: holds(end(piece)), 1, pieces)
    return end(upper - 1), end(upper) if upper < pieces else high
