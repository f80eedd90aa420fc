"""The loop and the scoring with nothing around them, as a script would write them: twins for `recoilscan bench`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from zoo._fitted import Fitted, torch_threads
from zoo._streams import INIT, generator

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
