"""The zoo's loop and its scores on a GPU beside one core of a CPU: steps and events per second, and the share of what
it can do, which is a large matrix product.

Epochs of N_STEPS steps, the losses read at the end of each, as a fit does. Networks as printed, or as they ship.
"""

from collections.abc import Iterator

import zoo
from engine import plugins
from engine.bench.training import SEED, Problem, problem
from zoo import _bare

PLAIN = {}
# the options of [training] beside Table 1 as it is, whose 26 million weights are the most
NETWORKS = [("dense_vae", PLAIN), ("dense_vae", {"precision": "bf16"}), ("dense_vae", {"compiled": True}),
            ("conv_vae", PLAIN), ("mlp_classifier", PLAIN), ("log_sum_classifier", PLAIN)]  # fmt: skip
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
    """A line of every network on every device, each at work for `seconds` after a first epoch; none for what is to be
    compiled where nothing compiles."""
    peaks = {device: _bare.peak_flops(device, seconds) for device in on}
    for name, options in NETWORKS:
        if options.get("compiled") and not _compiles():
            continue
        work, words = trained(name), ", ".join([name, *(f"{key} = {value}" for key, value in options.items())])
        for device, called in on.items():
            given = work.family, work.config, work.features, work.labels, SEED, device, seconds
            steps, flops = _bare.pace(*given, **options)
            share = f"{100 * steps * flops / peaks[device]:.1f} %"
            scores = "" if options else f"{_scored_per_s(name, work, device, seconds):,.0f}"
            yield words, called, f"{steps:,.1f}", f"{steps * work.config.batch_size:,.0f}", share, scores


def _compiles() -> bool:
    try:
        zoo.check_compiler()
    except ValueError:
        return False
    return True


def _scored_per_s(name: str, work: Problem, device: str, seconds: float) -> float:
    return _bare.scored_per_s(work.fitted, problem(name, {}, N_SCORED).features, device, seconds)
