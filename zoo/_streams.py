"""The random streams of a fit, each a function of the seed and of what it is for, never of what was drawn before."""

import numpy as np
import torch

INIT, SPLIT, ORDER, STEP, VALIDATION, RESAMPLE = range(6)  # what a stream is for; part of its key


def stream(seed: int, *key: int) -> np.random.SeedSequence:
    """What a generator is seeded from."""
    return np.random.SeedSequence(seed, spawn_key=key)


def generator(seed: int, *key: int) -> torch.Generator:
    """Torch's global generator (inside fork_rng), set to a stream of its own."""
    return seeded(state(seed, *key))


def state(seed: int, *key: int) -> int:
    """The 64 bits that set torch's generator to the stream of this key."""
    return int(stream(seed, *key).generate_state(1, np.uint64)[0])


def seeded(bits: int) -> torch.Generator:
    """Torch's global generator (inside fork_rng), set to the stream that `state` names."""
    return torch.default_generator.manual_seed(bits)


def permutation(n: int, seed: int, *key: int) -> np.ndarray:
    """The numbers below n in an order that follows from the key."""
    return np.random.Generator(np.random.Philox(stream(seed, *key))).permutation(n)


def split(n: int, validation_fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the training and of the validation part; neither is empty."""
    n_validation = min(max(round(validation_fraction * n), 1), n - 1)
    order = permutation(n, seed, SPLIT)
    return order[n_validation:], order[:n_validation]
