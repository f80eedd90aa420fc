"""Slices of a batch: together they are the batch, and each has its events' part of the noise of the whole."""

import numpy as np
import pytest
import torch

from zoo._team import BatchShare, Team, WholeBatchNoise

N, LATENT = 7, 3
CPU = torch.device("cpu")


def shares(n, size):
    return [Team(rank, size, CPU, "float32").share(n) for rank in range(size)]


@pytest.mark.parametrize(("n", "size"), [(10, 1), (10, 2), (7, 3), (1, 2), (2, 5)])
def test_slices_cover_a_batch_once_and_none_computes_nothing(n, size):
    rows = [row for share in shares(n, size) for row in range(n)[share.start : share.stop]]
    assert rows == list(range(n))
    assert all(len(range(n)[share.taken]) == max(share.n, 1) for share in shares(n, size))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_weighted_means_of_slices_average_to_the_mean(size):
    values = torch.arange(N, dtype=torch.float64) ** 2
    teams = [Team(rank, size, CPU, "float32") for rank in range(size)]
    means = [team.scaled(values[team.share(N).taken].mean(), team.share(N)) for team in teams]
    np.testing.assert_allclose(torch.stack(means).mean(), values.mean(), rtol=1e-14)


DRAWS = {
    "randn": lambda x, g: torch.randn(x.shape, generator=g),
    "randn of numbers": lambda x, g: torch.randn(*x.shape, generator=g),
    "rand": lambda x, g: torch.rand(x.shape, generator=g),
    "randn_like": lambda x, g: torch.randn_like(x),
    "rand_like": lambda x, g: torch.rand_like(x),
    "dropout": lambda x, g: torch.nn.functional.dropout(x, 0.3, training=True),
    "a layer": lambda x, g: torch.nn.Dropout(0.3)(x),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("size", [2, 3])
def test_noise_of_slices_is_the_noise_of_the_batch(draw, size):
    x = torch.ones(N, LATENT)

    def drawn(rows, mode=None):
        with torch.random.fork_rng(devices=[]):
            generator = torch.default_generator.manual_seed(11)
            if mode is None:
                return DRAWS[draw](x[rows], generator)
            with mode:
                return DRAWS[draw](x[rows], generator)

    whole = drawn(slice(None))
    parts = [drawn(share.taken, WholeBatchNoise(share, CPU)) for share in shares(N, size)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(drawn(slice(0, 2)), drawn(slice(2, 4), WholeBatchNoise(BatchShare(2, 4, N), CPU)))


def test_dropout_is_off_where_nothing_is_trained():
    x = torch.ones(2, LATENT)
    with WholeBatchNoise(BatchShare(0, 2, N), CPU):
        assert torch.equal(torch.nn.functional.dropout(x, 0.9, training=False), x)
        assert torch.equal(torch.nn.Dropout(0.9).eval()(x), x)


def test_draws_of_another_size_are_left_as_they_are():
    with WholeBatchNoise(BatchShare(0, 2, N), CPU):
        assert torch.randn(4, LATENT).shape == (4, LATENT)
