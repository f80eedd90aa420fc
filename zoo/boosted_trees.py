"""Boosted trees on a few summaries that tell ER (0) from NR (1).

Histogram-based gradient boosting: J. H. Friedman, "Greedy function approximation: a gradient boosting machine", Ann.
Statist. 29 (2001) 1189, with the binned features of LightGBM (G. Ke et al., NeurIPS 2017), as scikit-learn's
`HistGradientBoostingClassifier` grows it. It takes the representations `summary` and `corrected`: a check on
`summary_classifier` that has no learning rate to die of, and needs seconds. Its logit is a step function: events whose
summaries lie in one box have one logit, and beyond the last training event it is flat: of DARWIN's recoils, 1 to 100
keV, 5 % of the nuclear and 16 % of the electron recoils have one, in 2 to 10 keVee 0.7 and 0.9 %; the audit says so.
Features are scaled as the study says, which moves no split.

The trees are arrays, which are stored as a network's weights are and read by the traversal below: what scikit-learn
predicts, to the bit, without it. An epoch is a tree; the seed chooses the events that are set aside for validation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from zoo import _fields as fields
from zoo._choices import KINDS
from zoo._losses import cross_entropy

KIND = "classifier"
TRAINS_ON = ("ER", "NR")
MOST_FEATURES = 16  # summaries, and no readout


@dataclass(frozen=True)
class Config(fields.Stopping):
    """More and smaller trees than scikit-learn's defaults, which learn 6000 events by heart: AUC 0.984 against 0.979 of
    DARWIN's recoils in 2 to 10 keVee, the floor 0.988. `keep = "best"` cuts what is behind the lowest validation loss.
    """

    epochs: int = fields.whole(300, at_least=1)  # trees
    learning_rate: float = fields.real(0.03, above=0)
    leaves: int = fields.whole(8, at_least=2)  # of a tree, at most
    events_per_leaf: int = fields.whole(20, at_least=1)  # at least
    l2: float = fields.real(0.0, at_least=0)
    validation_fraction: float = fields.real(0.3, above=0, below=1)
    preprocess: str = fields.choice("raw", KINDS)


class Trees(nn.Module):
    """Trees as arrays (trees, nodes): before they are grown each is a leaf of value 0."""

    def __init__(self, config: Config):
        super().__init__()
        shape = config.epochs, 2 * config.leaves - 1
        self.value = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("start", torch.zeros((), dtype=torch.float64))
        self.register_buffer("feature", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("threshold", torch.full(shape, torch.inf, dtype=torch.float64))
        self.register_buffer("left", torch.zeros(shape, dtype=torch.int64))  # a leaf's children are itself
        self.register_buffer("right", torch.zeros(shape, dtype=torch.int64))

    def of_each(self, x: torch.Tensor) -> torch.Tensor:
        """What each tree says of each event, (n, trees)."""
        tree = torch.arange(len(self.value), device=x.device)
        node = torch.zeros((len(x), len(tree)), dtype=torch.int64, device=x.device)
        while True:
            below = x.double().gather(1, self.feature[tree, node]) <= self.threshold[tree, node]
            after = torch.where(below, self.left[tree, node], self.right[tree, node])
            if torch.equal(after, node):
                return self.value[tree, node]
            node = after

    def staged(self, x: torch.Tensor) -> torch.Tensor:
        """The logit after every tree, (trees + 1, n), the first before any: added in the order of the trees."""
        stages = [self.start.expand(len(x))]
        for said in self.of_each(x).unbind(1):
            stages.append(stages[-1] + said)
        return torch.stack(stages)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logit, (n,)."""
        return self.staged(x)[-1]

    def keep(self, n: int) -> None:
        """Makes the trees behind the first n leaves of value 0 again."""
        for name, tensor in self.state_dict().items():
            if name != "start":
                tensor[n:] = torch.inf if name == "threshold" else 0


def build(config: Config, n_features: int) -> Trees:
    """The trees, not yet grown."""
    return Trees(config)


def grow(module: Trees, x: np.ndarray, label: np.ndarray, config: Config, n_trees: int) -> None:
    """Grows the first n_trees on events (n, n_features); fewer trees are the first of more."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # a second, which scoring need not wait for

    grown = HistGradientBoostingClassifier(
        learning_rate=config.learning_rate, max_iter=n_trees, max_leaf_nodes=config.leaves,
        min_samples_leaf=config.events_per_leaf, l2_regularization=config.l2, early_stopping=False, random_state=0,
    ).fit(x, label.astype(np.int64))  # fmt: skip
    tensors = module.state_dict()
    tensors["start"].fill_(grown._baseline_prediction.item())
    for number, (tree,) in enumerate(grown._predictors):
        nodes = tree.nodes
        itself, is_leaf, n = np.arange(len(nodes)), nodes["is_leaf"].astype(bool), len(nodes)
        arrays = {
            "value": np.where(is_leaf, nodes["value"], 0.0), "feature": nodes["feature_idx"],
            "threshold": np.where(is_leaf, np.inf, nodes["num_threshold"]),
            "left": np.where(is_leaf, itself, nodes["left"]), "right": np.where(is_leaf, itself, nodes["right"]),
        }  # fmt: skip
        for name, values in arrays.items():
            tensors[name][number, :n] = torch.from_numpy(np.ascontiguousarray(values)).to(tensors[name].dtype)


def staged(module: Trees, x: torch.Tensor) -> torch.Tensor:
    """The logit after every epoch, (epochs, n)."""
    return module.staged(x)[1:]


def loss(module: Trees, x: torch.Tensor, label: torch.Tensor, generator: torch.Generator, config: Config):
    """The full binary cross-entropy, averaged over the events; part `accuracy` at p = 1/2."""
    return cross_entropy(module(x), label.double())


def terms(module: Trees, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """`logit` per event; H_B = softplus(logit)."""
    return {"logit": module(x)}
