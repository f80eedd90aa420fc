"""Masked autoregressive flow for p(E | event): an event's energy with an uncertainty of any shape.

Papamakarios, Pavlakou & Murray (arXiv:1705.07057), as zuko builds it. Of one number, autoregressive steps that are
affine would be a Gaussian, so the first is affine, shift and width, and those behind it are monotonic
rational-quadratic splines (Durkan, Bekasov, Murray & Papamakarios, arXiv:1906.04032), which give the shape.

Labels are energies in keV, drawn **flat in log E over `energy_keV`**: that is the prior of its posterior, and no energy
outside can be a label, nor is ever given a density. What flows is Phi^-1 of the share of that range below log E, which
under the prior is a standard normal: a flow that has learnt nothing gives the prior back. It takes any features;
`summary` (cS1, cS2, drift time) holds nearly all that is known of an energy.
"""

import copy
import math
from dataclasses import dataclass

import torch
import zuko
from torch import nn

from zoo import _fields as fields
from zoo._choices import KINDS

KIND = "regressor"
TRAINS_ON = ("ER",)
MIDPOINTS = 100  # quantiles whose mean and spread are the posterior's


@dataclass(frozen=True)
class Config(fields.Falling):
    """Enough units and epochs that the validation loss no longer depends on them."""

    energy_keV: tuple[float, float] = fields.interval((0.5, 150.0))
    transforms: int = fields.whole(1, at_least=1)  # splines
    bins: int = fields.whole(8, at_least=2)  # of each
    hidden: tuple[int, ...] = fields.widths((64, 64))
    epochs: int = fields.whole(15, at_least=1)
    batch_size: int = fields.whole(500, at_least=1)
    learning_rate: float = fields.real(0.005, above=0)
    validation_fraction: float = fields.real(0.1, above=0, below=1)
    preprocess: str = fields.choice("log1p_standard", KINDS)


def check(config: Config, n_features: int) -> None:
    """Raise ValueError, one sentence, for energies that have no logarithm."""
    if config.energy_keV[0] <= 0:
        raise ValueError(f"energy_flow: energy_keV = {list(config.energy_keV)} must begin above 0")


class EnergyFlow(nn.Module):
    """p(z | x) of the energy's normal score z."""

    def __init__(self, config: Config, n_features: int):
        super().__init__()
        check(config, n_features)
        self.log_low, self.log_high = map(math.log, config.energy_keV)
        sizes = {"features": 1, "context": n_features, "hidden_features": config.hidden, "activation": nn.Tanh}
        location = zuko.flows.MAF(transforms=1, **sizes)
        shape = zuko.flows.NSF(transforms=config.transforms, bins=config.bins, **sizes)
        self.density = zuko.flows.Flow([location.transform, shape.transform], shape.base)

    def normal_score(self, energy_keV: torch.Tensor) -> torch.Tensor:
        """Phi^-1 of the prior's share below an energy; infinite at the ends of the range."""
        return torch.special.ndtri((energy_keV.log() - self.log_low) / (self.log_high - self.log_low))

    def energy_keV(self, normal_score: torch.Tensor) -> torch.Tensor:
        """The inverse of `normal_score`."""
        share = torch.special.ndtr(normal_score)
        return (self.log_low + (self.log_high - self.log_low) * share).exp()

    def forward(self, x: torch.Tensor, energy_keV: torch.Tensor) -> torch.Tensor:
        """ln p of the normal scores of energies (n,), (n,)."""
        return self.density(x).log_prob(self.normal_score(energy_keV)[:, None])


def build(config: Config, n_features: int) -> EnergyFlow:
    """The flow of one number under the features."""
    return EnergyFlow(config, n_features)


def optimizer(parameters, config: Config) -> torch.optim.Optimizer:
    """Adam, in its fused form."""
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)


def loss(module: EnergyFlow, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """-ln p of the energy's normal score, averaged over the batch; 0.5 ln(2 pi e) = 1.42 is that of the prior."""
    return -module(x, label).mean(), {}


def quantiles(module: EnergyFlow, x: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """Energies in keV, (n, levels), below which these shares of the posterior lie, in float64: where the density is
    low, an inverse enlarges the rounding of float32 a hundredfold."""
    return _quantiles(copy.deepcopy(module).double(), x.double(), levels)


def _quantiles(module: EnergyFlow, x: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    if not len(x):
        return x.new_zeros(0, len(levels))  # torch's transforms refuse an empty batch
    score = torch.special.ndtri(levels).to(x)[:, None, None].expand(-1, len(x), 1)
    return module.energy_keV(module.density(x).transform.inv(score)).squeeze(2).T


def terms(module: EnergyFlow, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """`mean` and `sd` of the posterior per event, in keV."""
    levels = (torch.arange(MIDPOINTS, dtype=torch.float64, device=x.device) + 0.5) / MIDPOINTS
    energy_keV = _quantiles(module, x, levels).double()
    mean = energy_keV.mean(1)
    return {"mean": mean, "sd": (energy_keV - mean[:, None]).square().mean(1).sqrt()}
