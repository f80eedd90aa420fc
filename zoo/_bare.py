"""What `recoilscan bench` measures: twins of the loop and the scoring with nothing around them, as a script would write
them, and how fast loop and scoring are on a device."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from zoo._device import reproducible, there
from zoo._fitted import Fitted, terms, torch_threads
from zoo._inputs import cut, placed
from zoo._preprocess import fit_preprocess
from zoo._streams import INIT, generator, split
from zoo._team import team
from zoo._training import begin

Epoch = tuple[list[np.ndarray], list[np.ndarray]]  # rows of its batches, of training and of validation


def bare_fit(
    family: ModuleType, config: Any, x: np.ndarray, labels: np.ndarray, epochs: list[Epoch], seed: int,
    optimizer: Callable | None = None,
) -> torch.nn.Module:
    """The module after these epochs on float32, scaled events (n, n_features).

    It starts from the weights that `fit` starts from; a family without noise ends with those that `fit` ends with.
    `optimizer(parameters, config)`: the family's own unless given.
    """
    with torch_threads(1), torch.random.fork_rng(devices=[]):
        noise = generator(seed, INIT)
        module = family.build(config, x.shape[1])
        optimizer = (optimizer or family.optimizer)(module.parameters(), config)
        events, kinds = torch.from_numpy(x), torch.from_numpy(labels.astype(np.float32))
        for training, validation in epochs:
            for rows in training:
                loss, _ = family.loss(module, events[rows], kinds[rows], noise, config)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                for rows in validation:
                    family.loss(module, events[rows], kinds[rows], noise, config)
    return module.eval()


def bare_terms(fitted: Fitted, x: np.ndarray, batch_size: int) -> list[dict[str, torch.Tensor]]:
    """The family's terms of float32, scaled events, batch by batch."""
    with torch.inference_mode(), torch_threads(1):
        return [fitted.family.terms(fitted.module, events) for events in torch.from_numpy(x).split(batch_size)]


def pace(
    family: ModuleType, config: Any, features: np.ndarray, labels: np.ndarray, seed: int, device: str, seconds: float,
    precision: str = "float32", compiled: bool = False,
) -> tuple[float, float]:  # fmt: skip
    """(steps per second, floating-point operations of a step) of the loop of `fit`, after an epoch that warms up."""
    mine, (rows, _) = team(device, precision, compiled), split(len(features), config.validation_fraction, seed)
    preprocess = fit_preprocess(config.preprocess, features, rows)
    n_steps, numbers = len(cut(rows, config.batch_size)), itertools.count(1)
    with torch_threads(1), torch.random.fork_rng(devices=[]), reproducible(mine.device):
        data = placed(features, labels, preprocess, mine.device)
        with FlopCounterMode(display=False) as counted:
            begin(family, config, data, seed, team(device, "float32")).epoch(1, rows)
        run = begin(family, config, data, seed, mine)
        epochs = per_second(lambda: run.epoch(next(numbers), rows), mine.device, seconds)
    return epochs * n_steps, counted.get_total_flops() / n_steps


def scored_per_s(fitted: Fitted, features: np.ndarray, device: str, seconds: float) -> float:
    """Events per second that a model scores on a device, from counts to columns."""
    return len(features) * per_second(lambda: terms(fitted, features, device=device), there(device), seconds)


def peak_flops(device: str, seconds: float) -> float:
    """Floating-point operations per second of products of large float32 matrices, on a CPU by one core."""
    where = there(device)
    n = 1024 if where.type == "cpu" else 8192
    matrix = torch.ones((n, n), device=where)
    with torch.inference_mode(), torch_threads(1), reproducible(where):
        return 2 * n**3 * per_second(lambda: (matrix @ matrix)[0, 0].item(), where, seconds)


def per_second(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Calls per second, each of which waits for the device, after a first one: of a CPU's own time, which a busy
    neighbour does not lengthen, else of the clock's."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    call()
    done, begun = 0, clock()
    while not done or clock() - begun < seconds:
        call()
        done += 1
    return done / (clock() - begun)


def torch_adamax(parameters, config: Any) -> torch.optim.Optimizer:
    """Adamax as torch has it."""
    return torch.optim.Adamax(parameters, lr=config.learning_rate)


@contextmanager
def torch_convolutions(family: ModuleType) -> Iterator[None]:
    """The autoencoder of images by torch's convolutions and its enlargement, in place of products of matrices."""

    def painted(layer: torch.nn.ConvTranspose2d, x: torch.Tensor) -> torch.Tensor:
        larger = torch.nn.functional.interpolate(x, layer.nearest) if layer.nearest else x
        return torch.nn.ConvTranspose2d.forward(layer, larger)

    with (patch.object(family.Strided, "forward", torch.nn.Conv2d.forward),
          patch.object(family.Painted, "forward", painted)):  # fmt: skip
        yield
