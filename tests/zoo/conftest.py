"""Problems small enough to train in a second, in the shape that each family takes."""

import importlib
import math
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

import zoo
from zoo import _training
from zoo._preprocess import fit_preprocess

N_FEATURES = 30
IMAGE_LENGTH = 75 * 75 * 3
SMALL = {
    "boosted_trees": {"leaves": 8, "epochs": 5, "events_per_leaf": 5},
    "channel_transformer": {"width": 8, "heads": 1, "epochs": 2, "batch_size": 40},
    "cnn_classifier": {"filters": [4, 4], "epochs": 2, "batch_size": 8},
    "conv_vae": {"filters": 4, "epochs": 2, "batch_size": 8, "learning_rate": 0.01},
    "dense_vae": {"hidden": [16, 8], "latent": 4, "epochs": 3, "batch_size": 16, "learning_rate": 0.01},
    "energy_flow": {"hidden": [8], "epochs": 3, "batch_size": 16},
    "flow": {"hidden": [16], "transforms": 1, "epochs": 3, "batch_size": 16},
    "log_sum_classifier": {"sums": 8, "hidden": [8], "epochs": 4, "batch_size": 16},
    "mlp_classifier": {"hidden": [16, 8], "epochs": 4, "batch_size": 16},
    "summary_classifier": {"epochs": 3, "batch_size": 16},
    "waveform_classifier": {"filters": [4, 4], "hidden": 8, "epochs": 3, "batch_size": 16},
}


@pytest.fixture(params=zoo.names())
def family(request):
    return importlib.import_module(f"zoo.{request.param}")


@pytest.fixture
def network(family):
    """A family that is trained in batches."""
    if hasattr(family, "grow"):
        pytest.skip("no network: it is grown on all events at once, and draws nothing")
    return family


@pytest.fixture
def vae():
    return importlib.import_module("zoo.dense_vae")


@pytest.fixture
def mlp():
    return importlib.import_module("zoo.mlp_classifier")


@pytest.fixture
def log_sums():
    return importlib.import_module("zoo.log_sum_classifier")


@pytest.fixture
def lab(monkeypatch):
    """The functions of this file."""

    def training_rows(family):
        """Rows of the training part, overheard from what the preprocessing is handed."""
        seen = []

        def overhear(kind, features, rows):
            seen.append(rows)
            return fit_preprocess(kind, features, rows)

        with monkeypatch.context() as patch:
            patch.setattr(_training, "fit_preprocess", overhear)
            fitted(family)
        return seen[0]

    functions = name_of, width, small, counts, events, training_set, fitted, one_line_error, training_rows
    return SimpleNamespace(**{function.__name__: function for function in functions})


def name_of(family):
    return family.__name__.rpartition(".")[2]


def width(family):
    """Features of the family's events; of those that take any number, N_FEATURES or as many as they may have."""
    return math.prod(getattr(family, "INPUT_SHAPE", (getattr(family, "MOST_FEATURES", N_FEATURES),)))


def small(family, **fields):
    return zoo.configure(family, SMALL.get(name_of(family), {"epochs": 2}) | {"validation_fraction": 0.3} | fields)


@cache
def counts(n, kind=0, seed=0, n_features=N_FEATURES):
    """Poisson counts with a factor per event; NR is dimmer and rises where ER falls; 3 of many features stay 0."""
    rng = np.random.default_rng((seed, kind))
    shape = np.linspace(1, 12, n_features)[:: 1 - 2 * kind]
    rate = shape * rng.uniform(0.5, 2, (n, 1)) / (1 + kind)
    features = rng.poisson(rate * (8 if n_features == IMAGE_LENGTH else 1)).astype(np.uint16)
    features[:, : 3 * (n_features > 3)] = 0
    features.flags.writeable = False
    return features


def events(family, n, kind=0, seed=0):
    return counts(n, kind, seed, width(family))


def training_set(family, n=None):
    """Features and labels of the kinds this family trains on, n of each; images are dear. A regressor is to find the
    mean of an event's features.
    """
    n = n or (30 if width(family) == IMAGE_LENGTH else 200)
    kinds = [{"ER": 0, "NR": 1}[kind] for kind in family.TRAINS_ON]
    features = np.concatenate([events(family, n, kind) for kind in kinds])
    return features, features.mean(axis=1) if family.KIND == "regressor" else np.repeat(kinds, n)


def fitted(family, seed=1, n=None, **fields):
    return zoo.fit(family, small(family, **fields), *training_set(family, n), seed=seed)


def one_line_error(call, *words):
    with pytest.raises(ValueError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message
