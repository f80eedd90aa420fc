"""The state of an unfinished fit as bytes: safetensors and JSON. What goes on from them ends with the same bits."""

import json
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from zoo._about import metadata

FORMAT = 1
KEY = "recoilscan.checkpoint"

Tensors = dict[str, torch.Tensor]
History = dict[str, list[float]]


class BadCheckpoint(ValueError):
    """The bytes are no whole checkpoint, or one of another fit."""


class Progress:
    """How far a fit is: the curves, and the weights of the lowest validation loss where they are wanted."""

    def __init__(self, history: History | None = None, best: Tensors | None = None):
        self.history, self.best = history or {}, best or {}

    @property
    def losses(self) -> list[float]:
        """The validation loss of every epoch that ended."""
        return self.history.get("validation_loss", [])

    @property
    def best_epoch(self) -> int:
        """The first epoch, from 1, of the lowest validation loss; 0 before any."""
        return self.losses.index(min(self.losses)) + 1 if self.losses else 0

    def is_over(self, config: Any) -> bool:
        """After the last epoch, or after `patience` without a lower validation loss; a warm-up does not count."""
        n, patience = len(self.losses), getattr(config, "patience", 0)
        waited = n - max(self.best_epoch, getattr(config, "warm_up_epochs", 0))
        return n >= config.epochs or 0 < patience <= waited

    def add(self, metrics: dict[str, float]) -> None:
        """Notes an epoch's row of the history."""
        for name, value in metrics.items():
            self.history.setdefault(name, []).append(value)

    def note_best(self, module: torch.nn.Module) -> None:
        """Copies the weights if the epoch that ended is the best."""
        if self.best_epoch == len(self.losses):
            self.best = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def pack(fit: dict[str, Any], module: torch.nn.Module, optimizer: torch.optim.Optimizer, progress: Progress) -> bytes:
    """The state after an epoch. `fit` is plain data: what makes the fit the one that it is."""
    state = optimizer.state_dict()
    tensors, others = _optimizer_state(state["state"])
    tensors |= _named("weights", module.state_dict()) | _named("best", progress.best)
    groups = [{k: v for k, v in group.items() if k != "params"} for group in state["param_groups"]]
    about = {"format": FORMAT, "fit": fit, "history": progress.history, "groups": groups, "state": others}
    return save_tensors(tensors, metadata={KEY: json.dumps(about, sort_keys=True)})


def restore(data: bytes, fit: dict[str, Any], module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Sets module and optimiser to the state that `pack` wrote, and returns how far the fit was.

    Raises BadCheckpoint, one sentence, if the bytes are not whole, not ours, or of another fit, and says in what.
    """
    try:
        about, tensors = metadata(data, KEY), load_tensors(data)
        if about["format"] != FORMAT:
            raise BadCheckpoint(f"the checkpoint has format {about['format']!r}; this version reads format {FORMAT}.")
        _require_same(about["fit"], json.loads(json.dumps(fit)))
        module.load_state_dict(_group(tensors, "weights"))
        optimizer.load_state_dict(_optimizer_dict(about, _group(tensors, "optimizer"), optimizer))
        return Progress(about["history"], _group(tensors, "best"))
    except BadCheckpoint:
        raise
    except Exception as error:  # whatever torch and safetensors make of bytes that are not ours
        reason = " ".join(repr(error).split())
        raise BadCheckpoint(f"{len(data)} bytes are not a checkpoint of a fit: {reason}.") from error


def _require_same(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    stored, wanted = _flat(stored), _flat(wanted)
    differ = [
        f"{k} = {stored.get(k)!r}, not {wanted.get(k)!r}" for k in wanted | stored if stored.get(k) != wanted.get(k)
    ]
    if differ:
        raise BadCheckpoint(f"the checkpoint is of another fit: it has {'; '.join(differ)}.")


def _flat(fit: dict[str, Any]) -> dict[str, Any]:
    """The fields of `config` beside the others."""
    config = {f"config.{name}": value for name, value in fit.get("config", {}).items()}
    return {name: value for name, value in fit.items() if name != "config"} | config


def _named(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}.{name}": tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _group(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def _optimizer_state(state: dict[int, dict[str, Any]]) -> tuple[Tensors, dict[str, Any]]:
    """Tensors and plain values of an optimiser, each as "parameter.name"."""
    flat = {f"{number}.{name}": value for number, values in state.items() for name, value in values.items()}
    tensors = {name: value for name, value in flat.items() if isinstance(value, torch.Tensor)}
    return _named("optimizer", tensors), {name: value for name, value in flat.items() if name not in tensors}


def _optimizer_dict(about: dict[str, Any], tensors: Tensors, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    state: dict[int, dict[str, Any]] = {}
    for key, value in (tensors | about["state"]).items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    fresh = optimizer.state_dict()["param_groups"]
    # JSON has no tuples: a value takes the type that it has in an optimiser just made
    groups = [
        new | {k: tuple(v) if isinstance(new[k], tuple) else v for k, v in old.items()}
        for new, old in zip(fresh, about["groups"], strict=True)
    ]
    return {"state": state, "param_groups": groups}
