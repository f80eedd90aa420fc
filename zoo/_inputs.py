"""What a fit is given: the events, checked, and in scaled batches."""

from types import ModuleType

import numpy as np
import torch

from zoo._device import free_bytes, sent
from zoo._fields import check_input, name_of
from zoo._fitted import check_features
from zoo._preprocess import Preprocess

LABELS = {"ER": 0, "NR": 1}
CHUNK = 4096  # events that are scaled at once


class TrainingData:
    """Batches of scaled features and labels, converted when they are asked for."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, preprocess: Preprocess):
        self.features, self.preprocess = features, preprocess
        self.labels = torch.from_numpy(labels.astype(np.float32))

    def index(self, rows: np.ndarray) -> np.ndarray | torch.Tensor:
        """Numbers of events where `batch` looks for them."""
        return rows

    def batch(self, rows: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Scaled features (n, n_features) and labels (n,) of these rows."""
        return sent(self.preprocess.apply(self.features[rows]), device), sent(self.labels[rows], device)


class ResidentData(TrainingData):
    """All events, scaled, on the device from the beginning: a batch costs the host no copy."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, preprocess: Preprocess, device: torch.device):
        super().__init__(features, labels, preprocess)
        self.x = torch.empty(features.shape, dtype=torch.float32, device=device)
        for rows in cut(np.arange(len(features)), CHUNK):
            self.x[rows[0] : rows[-1] + 1] = preprocess.apply(features[rows])
        self.labels = self.labels.to(device)

    def index(self, rows: np.ndarray) -> torch.Tensor:
        """The numbers on the device, for an epoch at once."""
        return sent(torch.from_numpy(rows), self.x.device)

    def batch(self, rows: np.ndarray | torch.Tensor, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """As of any training data."""
        rows = torch.as_tensor(rows, device=device)
        return self.x[rows], self.labels[rows]


def placed(features: np.ndarray, labels: np.ndarray, preprocess: Preprocess, device: torch.device) -> TrainingData:
    """Training data where a device reads them best: on a GPU, if they take half of its free memory at most."""
    if device.type == "cuda" and 4 * features.size <= free_bytes(device) / 2:
        return ResidentData(features, labels, preprocess, device)
    return TrainingData(features, labels, preprocess)


def cut(rows: np.ndarray | torch.Tensor, size: int) -> list:
    """Batches of this many rows; the last may be smaller."""
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def check(family: ModuleType, features: np.ndarray, labels: np.ndarray, seed: int) -> None:
    """Raise ValueError, one sentence, for events, labels or a seed that a fit of the family cannot take."""
    check_features(features)
    check_input(family, features.shape[1])
    if len(features) < 2:
        raise ValueError(f"{name_of(family)}: {len(features)} events are too few; fit needs at least 2.")
    if labels.shape != (len(features),):
        raise ValueError(f"labels of shape {labels.shape} are not accepted; they must be ({len(features)},).")
    _check_labels(family, labels)
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed = {seed!r} is not accepted; it must be an integer of at least 0.")


def _check_labels(family: ModuleType, labels: np.ndarray) -> None:
    """Numbers for a regressor, the kinds that it trains on for any other."""
    if family.KIND == "regressor":
        if labels.dtype.kind not in "uif" or not np.isfinite(labels).all():
            raise ValueError(f"{name_of(family)} is a regressor: its labels must be finite numbers.")
        return
    wanted = [LABELS[kind] for kind in family.TRAINS_ON]
    codes = np.unique(labels).tolist()
    if codes != wanted:
        raise ValueError(
            f"{name_of(family)} trains on {' and '.join(family.TRAINS_ON)}: its labels must be {wanted} "
            f"(0 ER, 1 NR), and are {codes[:5]}."
        )


def check_batch(family: ModuleType, batch_size: int, n_train: int) -> None:
    """Raise ValueError if one batch would be more than all the training events."""
    if batch_size > n_train:
        raise ValueError(
            f"{name_of(family)}: batch_size = {batch_size} is larger than the {n_train} events left to train on; "
            "give a smaller one, or more events."
        )
