"""A fitted model: what is asked of it, and its one form in bytes."""

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch.overrides import TorchFunctionMode

from zoo._about import KEY, metadata
from zoo._device import reproducible, sent, there
from zoo._fields import configure, identity, name_of
from zoo._memory import named
from zoo._preprocess import Preprocess
from zoo._streams import RESAMPLE, state

BATCH_SIZE = 512  # events per evaluation batch; the engine keeps to it, see `terms`
FORMAT = 1


@dataclass(frozen=True)
class Fitted:
    """A trained module in eval mode with all that is needed to use it again.

    `history` has one value per epoch: `train_loss`, `validation_loss` and the same of every part of the loss. An
    ensemble has its further members in `others`: its terms are the means over all of them, what else it says is the
    first one's. `n_latent`: z of q(z|x) over which `recon` is averaged, even; 0: at z = mu.
    """

    family: ModuleType
    config: Any
    n_features: int
    module: torch.nn.Module
    preprocess: Preprocess
    history: dict[str, list[float]]
    seed: int
    others: tuple["Fitted", ...] = ()
    n_latent: int = 0

    @cached_property
    def members(self) -> tuple["Fitted", ...]:
        """Each fit by itself; of what is no ensemble the one that it is."""
        return (dataclasses.replace(self, others=()), *self.others) if self.others else (self,)

    @cached_property
    def lean(self) -> torch.nn.Module:
        """The module that its terms are made by: of a family with `lean` another form of its own."""
        with torch_threads(1):
            return self.family.lean(self.module) if hasattr(self.family, "lean") else self.module

    def averaging(self, n_latent: int) -> "Fitted":
        """The same with so many z in its terms, in those of every member."""
        if n_latent == self.n_latent:
            return self
        others = tuple(dataclasses.replace(one, n_latent=n_latent) for one in self.others)
        return dataclasses.replace(self, n_latent=n_latent, others=others)


@contextmanager
def torch_threads(n: int) -> Iterator[None]:
    """Torch's intra-op threads set to n, and set back."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def check_features(features: np.ndarray, n_features: int | None = None) -> None:
    """Raise ValueError unless features is a real (n, n_features) array."""
    width = "n_features" if n_features is None else n_features
    right_shape = features.ndim == 2 and n_features in (None, features.shape[1])
    if not right_shape or features.dtype.kind not in "uifb":
        raise ValueError(
            f"features of shape {features.shape} and dtype {features.dtype} are not accepted; "
            f"they must be a real array of shape (n, {width})."
        )


def terms(
    fitted: Fitted, features: np.ndarray, batch_size: int = BATCH_SIZE, device: str = "cpu"
) -> dict[str, np.ndarray]:
    """Per-event columns, float64 of shape (n,): `recon` and `kl` of an autoencoder, `logit` of a classifier.

    `recon` (with the Gaussian's full constant, at z = mu or averaged, see `Fitted`) and `kl` (unweighted) are summed
    in float64. The layers are float32, and a matrix product may round differently in a batch of another size: the same
    event then agrees to about 1e-6 of a term, not to the bit. Keep `batch_size` and the shards fixed where
    bytes matter. Runs on one torch thread; on a GPU in float32 as it is, without TF32. Raises ValueError for features
    of the wrong shape and for a device that is not there, and OutOfMemory.

    An ensemble gives the mean of its members' terms, so that its logit, its -ELBO and its ln p are means of theirs
    (Lakshminarayanan, Pritzel & Blundell, arXiv:1612.01474, average p; of logits the mean does not saturate).
    """
    of_members = [_terms(one, features, batch_size, device) for one in fitted.members]
    return {name: sum(terms[name] for terms in of_members) / len(of_members) for name in of_members[0]}


def _terms(fitted: Fitted, features: np.ndarray, batch_size: int, device: str) -> dict[str, np.ndarray]:
    of_batch = partial(fitted.family.terms, n_latent=fitted.n_latent) if fitted.n_latent else fitted.family.terms
    batches = evaluate(dataclasses.replace(fitted, module=fitted.lean), of_batch, features, batch_size, device)
    return {name: torch.cat([batch[name] for batch in batches]).double().cpu().numpy() for name in batches[0]}


def averaged(fits: Sequence[Fitted]) -> Fitted:
    """An ensemble of fits of one family to events of one width, or the one that there is."""
    first, *others = fits
    return dataclasses.replace(first, others=tuple(others))


def encode(fitted: Fitted, features: np.ndarray) -> np.ndarray:
    """mu of q(z|x), float32 of shape (n, latent). Raises ValueError for a classifier."""
    _require_autoencoder(fitted)
    return torch.cat(evaluate(fitted, fitted.family.encode, features)).numpy()


def reconstruct(fitted: Fitted, features: np.ndarray) -> np.ndarray:
    """mu_D at z = mu in the features' own unit, float32 of shape (n, n_features). Raises as `encode`."""
    _require_autoencoder(fitted)
    batches = evaluate(fitted, fitted.family.reconstruct, features)
    return torch.cat([fitted.preprocess.invert(batch) for batch in batches]).numpy()


def resample(fitted: Fitted, features: np.ndarray, seed: int) -> np.ndarray:
    """(n, n_features) reconstructions at one z of each event, drawn from q(z|x) by a generator with this seed."""
    _require_autoencoder(fitted)
    noise = torch.Generator().manual_seed(state(seed, RESAMPLE))
    batches = evaluate(fitted, lambda module, x: fitted.family.resample(module, x, noise), features)
    return torch.cat([fitted.preprocess.invert(batch) for batch in batches]).numpy()


def quantiles(fitted: Fitted, features: np.ndarray, levels: Sequence[float]) -> np.ndarray:
    """What a regressor estimates: float64 (n, levels), below which shares `levels`, in (0, 1), of each event's
    posterior lie; of an ensemble the means of its members'. Raises ValueError for another kind of family.
    """
    if fitted.family.KIND != "regressor":
        raise ValueError(f"{name_of(fitted.family)} is a {fitted.family.KIND}; only a 'regressor' has quantiles.")
    at = torch.tensor(levels, dtype=torch.float64)

    def of(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return fitted.family.quantiles(module, x, at)

    of_members = [torch.cat(evaluate(one, of, features)).double().numpy() for one in fitted.members]
    return sum(of_members) / len(of_members)


def n_parameters(fitted: Fitted) -> int:
    """Numbers that training may change."""
    return sum(parameter.numel() for one in fitted.members for parameter in one.module.parameters())


def _require_autoencoder(fitted: Fitted) -> None:
    if fitted.family.KIND != "autoencoder":
        raise ValueError(
            f"{name_of(fitted.family)} is a {fitted.family.KIND}; only families of kind 'autoencoder' "
            "encode and reconstruct."
        )


def evaluate(
    fitted: Fitted, function: Callable, features: np.ndarray, size: int = BATCH_SIZE, device: str = "cpu"
) -> list:
    """function(module, x) of every batch of scaled features; an empty event list gives one empty batch."""
    features, where = np.asarray(features), there(device)
    check_features(features, fitted.n_features)
    starts, what = range(0, max(len(features), 1), size), f"{name_of(fitted.family)}, in batches of {size} on {device}"
    with torch.inference_mode(), torch_threads(1), reproducible(where), named(what):
        module = fitted.module if where.type == "cpu" else copy.deepcopy(fitted.module).to(where)
        batches = (sent(fitted.preprocess.apply(features[start : start + size]), where) for start in starts)
        return [function(module, x) for x in batches]


def save(fitted: Fitted) -> bytes:
    """The fit as one safetensors blob, the same bytes for the same fit.

    All that is not a tensor is JSON under one metadata key: with several their order is not deterministic.
    """
    if fitted.others:
        return joined([save(one) for one in fitted.members])
    about = {
        "config": identity(fitted.family, dataclasses.asdict(fitted.config)),
        "family": name_of(fitted.family),
        "format": FORMAT,
        "history": fitted.history,
        "n_features": fitted.n_features,
        "seed": fitted.seed,
    }
    tensors = {f"weights.{name}": tensor.contiguous() for name, tensor in fitted.module.state_dict().items()}
    tensors |= {"preprocess.shift": fitted.preprocess.shift, "preprocess.scale": fitted.preprocess.scale}
    return save_tensors(tensors, metadata={KEY: json.dumps(about, sort_keys=True)})


def joined(fits: Sequence[bytes]) -> bytes:
    """What `save` wrote of several fits, as the blob of an ensemble: each as it is; of one fit that one."""
    if len(fits) == 1:
        return fits[0]
    tensors = {f"member.{i}": torch.frombuffer(bytearray(fit), dtype=torch.uint8) for i, fit in enumerate(fits)}
    return save_tensors(tensors, metadata={KEY: json.dumps({"format": FORMAT, "n_members": len(fits)}, sort_keys=True)})


def load(data: bytes, family: ModuleType) -> Fitted:
    """The fit that `save` wrote, or the ensemble that `joined` made.

    Raises ValueError if the bytes are not whole, not ours, of another family, or not of this version of it.
    """
    tensors, about = _read(data)
    if n_members := about.get("n_members"):
        return averaged([load(tensors[f"member.{i}"].numpy().tobytes(), family) for i in range(n_members)])
    if about["family"] != name_of(family):
        raise ValueError(f"the model is a {about['family']!r}, and was asked for as {name_of(family)!r}.")
    config, n_features = configure(family, about["config"]), about["n_features"]
    preprocess = Preprocess(config.preprocess, tensors.pop("preprocess.shift"), tensors.pop("preprocess.scale"))
    module = _restored(family, config, n_features, tensors)
    return Fitted(family, config, n_features, module, preprocess, about["history"], about["seed"])


def _read(data: bytes) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        tensors, about = load_tensors(data), metadata(data, KEY)  # the first refuses what is truncated
    except Exception as error:
        raise ValueError(f"{len(data)} bytes are not a model saved by zoo.save: {error!r}.") from error
    if about["format"] != FORMAT:
        raise ValueError(f"the model has format {about['format']!r}; this version reads format {FORMAT}.")
    return tensors, about


class _NoInitialisation(TorchFunctionMode):
    """Leaves the first values of a parameter as memory holds them: the saved ones replace them all."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        target = args[0] if args else kwargs.get("tensor")
        fills = function in (torch.Tensor.uniform_, torch.Tensor.normal_)
        fills = fills or getattr(function, "__module__", "") == "torch.nn.init"
        return target if fills and isinstance(target, torch.nn.Parameter) else function(*args, **kwargs)


def _restored(family: ModuleType, config: Any, n_features: int, tensors: dict) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]), _NoInitialisation():
        module = family.build(config, n_features)
    try:
        module.load_state_dict({name.removeprefix("weights."): tensor for name, tensor in tensors.items()})
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"the saved weights do not fit {name_of(family)}: {reason}") from error
    return module.eval()
