"""How large a network is, counted without building it: torch takes a second to import, and the price of a fit needs
these numbers alone.
"""

from itertools import pairwise
from typing import NamedTuple


class Size(NamedTuple):
    """weights: numbers that training changes; products: multiplications by matrices that one event takes on its way
    through; convolved: those by convolutions."""

    weights: int
    products: int = 0
    convolved: int = 0


def summed(*parts: Size) -> Size:
    """The size of all parts together."""
    return Size(*map(sum, zip(*parts, strict=True)))


def dense(*widths: int) -> Size:
    """Dense layers with biases, widths[0] -> ... -> widths[-1]."""
    return Size(sum((a + 1) * b for a, b in pairwise(widths)), sum(a * b for a, b in pairwise(widths)))


def convolution(n_in: int, n_out: int, kernel: int, places: int) -> Size:
    """A convolution with biases of so many numbers a kernel, which lies at so many places of what goes in or comes out,
    whichever is the smaller."""
    return Size((n_in * kernel + 1) * n_out, 0, n_in * kernel * n_out * places)


def patches(n_in: int, n_out: int, kernel: int, places: int) -> Size:
    """A convolution whose places do not overlap, which is a product of matrices."""
    weights, _, products = convolution(n_in, n_out, kernel, places)
    return Size(weights, products)
