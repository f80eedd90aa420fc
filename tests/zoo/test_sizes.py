"""How large networks say that they are, beside those that are built and the multiplications that torch counts."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import zoo
from engine import plugins
from zoo._sizes import Size

OF_IMAGES = 75 * 75 * 3
CASES = [
    ("dense_vae", {"hidden": [20, 10], "latent": 4}, 50),
    ("mlp_classifier", {}, 50),
    ("summary_classifier", {}, 3),
    ("log_sum_classifier", {"sums": 7}, 50),
    ("waveform_classifier", {"sections": [30, 101]}, 131),
    ("cnn_classifier", {"filters": [4, 5, 6]}, OF_IMAGES),
    ("cnn_classifier", {"hidden": 9}, OF_IMAGES),
    ("conv_vae", {"filters": 6}, OF_IMAGES),
    ("conv_vae", {"filters": 6, "latent_layer": "dense"}, OF_IMAGES),
]


def test_no_network_that_says_so_is_left_out():
    assert {name for name, *_ in CASES} == {name for name in zoo.names() if hasattr(zoo.declared(name), "size")}


@pytest.mark.parametrize(("name", "fields", "n_features"), CASES)
def test_weights_and_multiplications_are_those_of_the_network(name, fields, n_features):
    family = plugins.load("zoo", name)
    config = zoo.configure(family, fields)
    module = family.build(config, n_features)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        family.terms(module, torch.rand(1, n_features))
    by_operation = {str(operation): n for operation, n in counter.get_flop_counts()["Global"].items()}
    convolved = sum(n for operation, n in by_operation.items() if "conv" in operation)
    n_weights = sum(weights.numel() for weights in module.parameters())
    # a multiplication and an addition are two
    wanted = Size(n_weights, (sum(by_operation.values()) - convolved) // 2, convolved // 2)
    assert family.size(config, n_features) == wanted == zoo.declared(name).size(config, n_features)


@pytest.mark.parametrize(("fields", "composes"), [({}, True), ({"activation": "relu"}, False),
                                                  ({"hidden": [3], "latent": 8}, False)])  # fmt: skip
def test_what_is_scored_has_the_products_that_it_says(fields, composes):
    family = plugins.load("zoo", "dense_vae")
    config = zoo.configure(family, {"hidden": [20, 10], "latent": 4} | fields)
    lean = family.lean(family.build(config, 50))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        family.terms(lean, torch.rand(1, 50))
    size = zoo.declared("dense_vae").lean_size(config, 50)
    assert size.products == counter.get_total_flops() // 2
    assert family.composes(config, 50) == composes == (size.products < family.size(config, 50).products)
