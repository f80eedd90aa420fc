"""The zoo's loop and its scores on a GPU beside one core of a CPU: steps and events per second, and the share of what
it can do, which is a large matrix product.

Epochs of N_STEPS steps, the losses read at the end of each, as a fit does. Networks as printed, or as they ship.
"""

from collections.abc import Iterator

import zoo
from engine import plugins
from engine.bench.training import SEED, Problem, problem
from zoo import _bare

NETWORKS = "dense_vae", "conv_vae", "mlp_classifier", "log_sum_classifier"
N_STEPS = 12
N_SCORED = 1024
Row = tuple[str, ...]  # the network, where, steps / s, events / s, share of the peak, events scored / s


def devices() -> dict[str, str]:
    """Where networks can be run here, the GPU last: names and what they are called."""
    there = {"cpu": "a core of the CPU"}
    try:
        return there | {"cuda": zoo.device_name("cuda").removeprefix("cuda, ")}
    except ValueError:
        return there


def trained(name: str) -> Problem:
    """A family with events for N_STEPS steps, whose fit ends after an epoch."""
    family, fields = plugins.load("zoo", name), {"epochs": 1}
    config = zoo.configure(family, fields)
    return problem(name, fields, round(N_STEPS * config.batch_size / (1 - config.validation_fraction)))


def rows(seconds: float, on: dict[str, str]) -> Iterator[Row]:
    """A line of every network on every device, each at work for `seconds` after a first epoch."""
    peaks = {device: _bare.peak_flops(device, seconds) for device in on}
    for name in NETWORKS:
        work, scored = trained(name), problem(name, {}, N_SCORED)
        for device, called in on.items():
            steps, flops = _bare.pace(work.family, work.config, work.features, work.labels, SEED, device, seconds)
            scores = _bare.scored_per_s(work.fitted, scored.features, device, seconds)
            yield (name, called, f"{steps:,.1f}", f"{steps * work.config.batch_size:,.0f}",
                   f"{100 * steps * flops / peaks[device]:.1f} %", f"{scores:,.0f}")  # fmt: skip
