"""The model zoo: the only home of torch. NumPy in, NumPy out; it imports nothing else of this project.

**A family is a file.** Its file name is the name a study uses: a public module of this package, or a user's
own `.py` file. The caller looks the module up and passes the module object, called `family` below. It holds

- `KIND`, "autoencoder", "classifier", "density" or "regressor", which estimates a number, such as an energy;
- `INPUT_SHAPE`, only if it takes events of one shape: (75, 75, 3) for images, flattened in C order. It is what a
  family declares of the representations it takes: `check_input` refuses any other before events are simulated;
- `MOST_FEATURES`, only if it takes events of no more values;
- `VERSION`, only of a family whose arithmetic has changed since it was first shipped: its fits have another name;
- `check(config, n_features)`, only if what it takes depends on its configuration: raises ValueError;
- `size(config, n_features)` -> `zoo._sizes.Size`, only of a network that `--plan` is to price by how large it is;
- `TRAINS_ON`, the kinds of event it is trained on: `("ER",)` or `("ER", "NR")`; a regressor may be fitted to any;
- `Config`, a frozen dataclass whose defaults are the paper's table as printed; of a family of no paper a recipe that
  trains, without units that die. Its fields include `epochs`, `batch_size`,
  `learning_rate`, `validation_fraction` and `preprocess`. A field declared with a helper of
  `zoo._fields` carries its range, a plain field accepts what has the type of its default. A `Config` that
  inherits `zoo._fields.Stopping` may end early and keep its best weights; with `warm_up_epochs` beside `beta`,
  the loop hands `loss` a beta that rises linearly from 0 over so many epochs, and validates with the whole; one that
  inherits `Falling` has a `schedule`, by which the loop moves the learning rate of its optimizer;
- `grow(module, x, label, config, n_epochs)`, only of a classifier that is no network: it changes `module` to what so
  many epochs make of all training events, x float64 (n, n_features), label (n,), at once; `staged(module, x)` -> logits
  after every epoch (epochs, n), and `module.keep(n)` undoes those behind the first n. It has no `optimizer`, and its
  `Config` inherits `Stopping` and has no `batch_size`;
- a field that comes later to a `Config` is declared with `zoo._fields.later`: at its default no fit gets another name;
- `build(config, n_features)` -> `torch.nn.Module`, initialised from torch's global generator;
- `optimizer(parameters, config)` -> `torch.optim.Optimizer`;
- `loss(module, x, label, generator, config)` -> (mean loss per event with its graph, dict of detached
  scalars: the mean per event of each part to be shown as a curve). Noise is drawn from `generator`;
- `terms(module, x)` -> dict of float64 tensors of shape (n,), **summed over features, never a batch mean**,
  each value depending on its own event alone. An autoencoder takes `n_latent=0` too and gives `recon` at z = mu, or
  its mean over so many z of `zoo._losses.latents`; and `kl` without beta,
  the two that its loss adds as recon + beta kl: where its decoder is a density, -log N(x; mu_D, diag
  sigma_D^2) with its full constant and KL(q(z|x) || N(0, 1)); else what its file says. A classifier gives
  `logit`, before the sigmoid, a density `log_density`, ln p of the scaled features or, where its file says so, of some
  under others, a regressor `mean` and `sd` of what it estimates, in the unit of the labels;
- `lean(module)` -> a module for `terms`, only where these take fewer products in another form than in training; and
  then `composes(config, n_features)`, whether they do: the terms of such fits have another name; and `lean_size`;
- autoencoders also `encode(module, x)` -> mu of shape (n, latent), `reconstruct(module, x)` -> mu_D at z = mu, and
  `resample(module, x, generator)` -> mu_D at one z of each event, drawn from q(z|x) with `generator`;
- a classifier whose last linear layer gives the logit can be brought to another detector, see `aligned`;
- a regressor also `quantiles(module, x, levels)` -> (n, levels) of p(label | x), with levels in (0, 1).

`x` is float32 of shape (n, n_features) after preprocessing, `label` float32 of shape (n,), 0 for ER, 1 for
NR; of a regressor it is the truth, a finite number, whose distribution in training is the prior. Both, and the module,
may lie on a GPU, where what `terms` and `loss` make besides must lie too (`device=x.device`). A module acts on
each event by itself: no batch normalisation. Inside `fit` torch's global generator is the `generator` handed to
`loss`, seeded anew at every step, so a layer that draws by itself (dropout) is reproducible too; outside `fit` it is
left as it was found. Where several processes share a batch, or on a GPU, `randn`, `rand`, their `_like` forms and
dropout give each process its events' part of the noise that one process would draw: their first dimension must then
be the batch's.

`recon` is that of the *preprocessed* features: `preprocess` changes its offset and its scale.

`declared(name)` is a built-in family whose constants, `Config`, `check`, `composes` and sizes are read without torch:
these, then, use nothing that needs it.
"""

import importlib
import pkgutil

from zoo._about import history
from zoo._declared import declared
from zoo._fields import check_input, configure, identity
from zoo._memory import OutOfMemory
from zoo._nonfinite import NonFiniteLoss

__all__ = [
    "BadCheckpoint",
    "Fitted",
    "NonFiniteLoss",
    "OutOfMemory",
    "aligned",
    "averaged",
    "check_compiler",
    "check_input",
    "configure",
    "declared",
    "device_name",
    "encode",
    "fit",
    "history",
    "identity",
    "joined",
    "load",
    "n_parameters",
    "names",
    "quantiles",
    "reconstruct",
    "resample",
    "save",
    "terms",
]


def names() -> list[str]:
    """The built-in families, sorted."""
    return sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))


_FITTED = (
    "Fitted", "averaged", "encode", "joined", "load", "n_parameters", "quantiles", "reconstruct", "resample", "save",
    "terms",
)  # fmt: skip
_OF_TORCH = dict.fromkeys(_FITTED, "_fitted") | {
    "BadCheckpoint": "_checkpoint", "aligned": "_coral", "check_compiler": "_device", "device_name": "_device",
    "fit": "_training",
}  # fmt: skip


def __getattr__(name: str) -> object:
    """What needs torch, which takes a second to import: who fits or scores pays."""
    if name not in _OF_TORCH:
        raise AttributeError(f"zoo has no {name}")
    return getattr(importlib.import_module(f"zoo.{_OF_TORCH[name]}"), name)
