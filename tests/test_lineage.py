"""Identity follows from typed values alone; a stream's name is its numbers."""

import numpy as np
import pytest
from pydantic import BaseModel
from scipy import stats

from engine import lineage

SEED_1234567 = [6457827717110365317, 3203168211198807973, 9817491932198370423]  # published SplitMix64 outputs


class Fields(BaseModel):
    exposure_ty: float
    n: int = 1


def split_mix(seed, n):
    """Steele, Lea & Flood 2014, in Python's unbounded integers."""
    mask, out = 2**64 - 1, []
    for _ in range(n):
        seed = (seed + 0x9E3779B97F4A7C15) & mask
        z = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        out.append(z ^ (z >> 31))
    return out


def mixed(seed, n):
    return [int(lineage.mix64(np.uint64(seed), np.uint64(i))) for i in range(n)]


def test_a_typed_float_has_one_digest():
    assert lineage.digest("s", 1, Fields(exposure_ty=200)) == lineage.digest("s", 1, Fields(exposure_ty=200.0))
    assert lineage.digest("s", 1, Fields(exposure_ty=200)) != lineage.digest("s", 1, Fields(exposure_ty=200.5))


def test_neighbouring_floats_have_two_digests():
    near = np.nextafter(6.5e-48, 1).item()
    assert lineage.digest("s", 1, 6.5e-48) != lineage.digest("s", 1, near)


def test_key_order_is_irrelevant():
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert lineage.digest("s", 1, one) == lineage.digest("s", 1, other)


def test_everything_named_changes_the_digest():
    variants = [("s", 1, "f", ["i"]), ("t", 1, "f", ["i"]), ("s", 2, "f", ["i"]), ("s", 1, "g", ["i"]),
                ("s", 1, "f", ["j"]), ("s", 1, "f", []), ("s", 1, "f", ["i", "i"])]  # fmt: skip
    assert len({lineage.digest(*variant) for variant in variants}) == len(variants)


@pytest.mark.parametrize("n", [0, 1, lineage.AT_ONCE, lineage.AT_ONCE + 1])
def test_inputs_that_come_one_by_one_are_those_of_a_list(n):
    inputs = [(str(i), None) for i in range(n)]
    assert lineage.digest("s", 1, "f", iter(inputs)) == lineage.digest("s", 1, "f", inputs)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("wrap", [lambda x: x, lambda x: {"a": [x]}, lambda x: Fields(exposure_ty=x)])
def test_nan_and_infinity_are_refused(value, wrap):
    with pytest.raises(ValueError, match="JSON"):
        lineage.digest("s", 1, wrap(value))


def test_a_digest_is_the_same_in_every_process():
    assert lineage.digest("s", 1, {"x": 0.1}, ["i"]) == "8070a99033f4bb96c3af2015"


def test_same_name_same_numbers():
    assert np.array_equal(lineage.stream("a", 1, 2.0).random(100), lineage.stream("a", 1, 2.0).random(100))


def test_other_names_are_independent_streams():
    names = [("a", 1), ("a", 2), ("b", 1), ("a",), ("a", 1, 0), (("a", 1), 0), ("a1",), ("a", "1")]
    draws = np.array([lineage.stream(*name).random(4000) for name in names])
    off_diagonal = np.corrcoef(draws)[~np.eye(len(names), dtype=bool)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(4000)


def test_mix64_is_split_mix():
    assert mixed(1234567, 3) == SEED_1234567
    for seed in (0, 1, 2**63, 2**64 - 1):
        assert mixed(seed, 50) == split_mix(seed, 50)


def test_mix64_is_uniform_in_each_field_that_photons_take_from_it():
    bits = np.array(mixed(97, 40_000), dtype=np.uint64)
    for shift, width in ((0, 12), (12, 12), (24, 40)):
        field = (bits >> np.uint64(shift)) & np.uint64(2**width - 1)
        counts = np.bincount((field / 2.0**width * 64).astype(int), minlength=64)
        assert 1e-4 < stats.chisquare(counts).pvalue < 1 - 1e-4
