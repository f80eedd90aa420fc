"""Identity and randomness: both follow from what makes a result, and from nothing else."""

import hashlib
import json
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numba import njit

DIGEST_LENGTH = 24
AT_ONCE = 1000  # inputs of a digest that are made into text together
GAMMA = np.uint64(0x9E3779B97F4A7C15)


def digest(stage: str, version: int, fields: object, inputs: object = ()) -> str:
    """The name of a result: a hash of its stage, the stage's version, its fields and its inputs' digests.

    `fields` are parsed, typed values (pydantic models or plain data), so that 200 and 200.0 of a
    float field are one result.
    """
    made = hashlib.sha256(canonical([stage, version, fields])[:-1].encode())
    for piece in _pieces(inputs):
        made.update(piece.encode())
    return made.hexdigest()[:DIGEST_LENGTH]


def _pieces(inputs: object) -> Iterator[str]:
    """The rest of a digest's text; of an iterator a few at a time, since there may be very many."""
    if not isinstance(inputs, Iterator):
        yield f",{canonical(inputs)}]"
        return
    yield ",["
    first = True
    while some := list(islice(inputs, AT_ONCE)):
        yield f"{'' if first else ','}{canonical(some)[1:-1]}"
        first = False
    yield "]]"


def canonical(value: object) -> str:
    """JSON with one spelling per value: sorted keys, no spaces, floats by their shortest repr; no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)


def _plain(value: object) -> object:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else list(value)


def label(number: float) -> str:
    """A number in the name of a file or a metric: all its digits, and nothing that MLflow or a shell minds."""
    return repr(float(number)).removesuffix(".0").replace("+", "")


def row_label(statistic: str, R: float | None) -> str:
    """A statistic and its R in the name of a file or a metric; no R where it looks at no score."""
    return statistic if R is None else f"{statistic}_R{label(R)}"


def seed(*keys: object) -> int:
    """128 bits from the keys that name a stream."""
    return int.from_bytes(hashlib.sha256(canonical(list(keys)).encode()).digest()[:16], "little")


def stream(*keys: object) -> np.random.Generator:
    """The counter-based random stream with this name (Philox, 128-bit key): same name, same numbers."""
    return np.random.Generator(np.random.Philox(key=seed(*keys)))


@njit(cache=True, inline="always")
def mix64(key: np.uint64, counter: np.uint64) -> np.uint64:
    """64 random bits for draw number `counter` of stream `key` (SplitMix64, Steele et al. 2014).

    For the inner loop over photons, where one call per photon must give time, channel and charge.
    """
    z = key + (counter + np.uint64(1)) * GAMMA
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
