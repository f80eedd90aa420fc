"""Middles of brackets: where they lie, and that everybody finds the same ones."""

import math

import numpy as np
import pytest

from engine.plan import lattice


@pytest.mark.parametrize(("low", "high"), [(1e-49, 1e-46), (1e-48, 1e-47), (2e-48, 3e-48), (1.0, 1e6), (0.7, 0.71)])
def test_a_middle_lies_well_inside(low, high):
    share = lattice.width(low, lattice.middle(low, high)) / lattice.width(low, high)
    assert lattice.MARGIN - 1e-6 < share < 1 - lattice.MARGIN + 1e-6


def test_halving_goes_on_the_lattice_and_ends_within_what_is_asked():
    low, high, target, steps = 1.7e-48, 9.3e-47, 2.2e-47, 0
    while lattice.is_wider(low, high, 0.05):
        middle, steps = lattice.middle(low, high), steps + 1
        low, high = (middle, high) if middle < target else (low, middle)
    assert low < target <= high and steps <= 7
    for end in (low, high):
        assert math.log10(end) * 32 == pytest.approx(round(math.log10(end) * 32), abs=1e-7)


def test_two_grids_share_their_points():
    """Whatever the brackets they begin with, 1e-47.5 is the first point between them."""
    starts = [(1e-48, 1e-47), (10**-47.99, 10**-46.98), (1e-49, 1e-46 * 0.9)]
    assert {lattice.middle(*start) for start in starts[:2]} == {float(f"{10**-47.5:.12g}")}
    assert lattice.middle(*starts[2]) in (1e-48, 1e-47)


def test_a_neighbour_of_the_last_digit_does_not_move_the_middle():
    """log10 of the ends may round differently on another machine."""
    rng = np.random.default_rng(4)
    for low in 10 ** rng.uniform(-49, -46, 500):
        high = low * 10 ** rng.choice([1 / 3, 0.1, 0.5, 1.0])
        near = [np.nextafter(low, 0), np.nextafter(high, 1)]
        assert lattice.middle(low, high) == lattice.middle(*near)


def test_exactly_what_is_asked_is_not_too_wide():
    assert not lattice.is_wider(1e-48, float(f"{10**-47.95:.12g}"), 0.05)
    assert lattice.is_wider(1e-48, 10**-47.9499, 0.05)


@pytest.mark.parametrize(
    ("points", "most", "halvings"),
    [([1e-48, 1e-47], 0.05, 5), ([0.0, 1e-48, 1e-47, 1e-44], 0.1, 5), ([1e-48, 1e-47], 1.0, 0), ([1e-47], 0.1, 0)],
)
def test_the_widest_bracket_is_halved_so_often(points, most, halvings):
    assert lattice.halvings(points, most) == halvings
