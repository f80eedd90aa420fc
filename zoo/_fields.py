"""Fields of a `Config`: what each accepts, and the one-line error that says so."""

import dataclasses
import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from types import ModuleType
from typing import Any

TRAINING_FIELDS = ("epochs", "batch_size", "learning_rate", "validation_fraction", "preprocess")


@dataclass(frozen=True)
class Rule:
    """`convert` returns the normalised value, or None if it is not accepted; `accepts` says what is."""

    convert: Callable[[Any], Any]
    accepts: str


def _field(default: Any, convert: Callable[[Any], Any], accepts: str) -> Any:
    return dataclasses.field(default=default, metadata={"rule": Rule(convert, accepts)})


def later(field: Any) -> Any:
    """A field that a family once had not: at its default it is no part of a fit's identity, which stays what it was."""
    field.metadata = field.metadata | {"later": True}
    return field


def _as_float(value: Any) -> float | None:
    is_number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _as_int(value: Any) -> int | None:
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else None


def real(default: float, *, at_least: float = -math.inf, above: float = -math.inf, below: float = math.inf) -> Any:
    """A finite number; integers are accepted and become floats."""

    def convert(value):
        number = _as_float(value)
        return number if number is not None and at_least <= number and above < number < below else None

    bounds = [("at least", at_least), ("above", above), ("below", below)]
    limits = " and ".join(f"{word} {bound:g}" for word, bound in bounds if math.isfinite(bound))
    return _field(default, convert, f"a finite number {limits}".rstrip())


def whole(default: int, *, at_least: int) -> Any:
    """An integer; 10.0 is refused."""

    def convert(value):
        number = _as_int(value)
        return number if number is not None and number >= at_least else None

    return _field(default, convert, f"an integer of at least {at_least}")


def choice(default: str, options: tuple[str, ...]) -> Any:
    """One of a few words."""
    accepts = "one of " + ", ".join(repr(option) for option in options)
    return _field(default, lambda value: value if value in options else None, accepts)


@dataclass(frozen=True)
class Stopping:
    """When the loop ends before its last epoch, and which weights it keeps; as the papers do by default.

    `patience` is the number of epochs without a new lowest validation loss after which the loop ends, counted
    from the end of a warm-up, 0 for never; `keep` the weights of the last epoch, or of the lowest such loss.
    """

    patience: int = whole(0, at_least=0)
    keep: str = choice("last", ("last", "best"))


@dataclass(frozen=True)
class FalsePositives:
    """How much more an electron recoil costs that looks like a nuclear one, see `zoo._losses.cross_entropy`."""

    false_positive_weight: float = later(real(0.0, at_least=0))


@dataclass(frozen=True)
class Falling(Stopping):
    """A learning rate that falls from `learning_rate` to 0 over all epochs as half a cosine, or stays as it is."""

    schedule: str = choice("cosine", ("constant", "cosine"))


def widths(default: tuple[int, ...]) -> Any:
    """Units of the hidden layers, first to last: a non-empty list of positive integers."""

    def convert(value):
        numbers = [_as_int(item) for item in value] if isinstance(value, list | tuple) else []
        return tuple(numbers) if numbers and all(n is not None and n > 0 for n in numbers) else None

    return _field(default, convert, "a non-empty list of positive integers")


def lengths(default: tuple[int, ...]) -> Any:
    """A list of positive integers, which may be empty."""

    def convert(value):
        return () if value in ([], ()) else widths(()).metadata["rule"].convert(value)

    return _field(default, convert, "a list of positive integers")


def interval(default: tuple[float, float]) -> Any:
    """A pair (low, high) of finite numbers."""

    def convert(value):
        ends = [_as_float(item) for item in value] if isinstance(value, list | tuple) else []
        is_interval = len(ends) == 2 and None not in ends and ends[0] < ends[1]
        return tuple(ends) if is_interval else None

    return _field(default, convert, "two finite numbers [low, high] with low < high")


def _plain_rule(default: Any) -> Rule:
    """A field declared without a rule accepts what has the type of its default."""
    kind = type(default)

    def same_type(value):
        return value if type(value) is kind else None

    return Rule({float: _as_float, int: _as_int}.get(kind, same_type), f"a {kind.__name__}")


def name_of(family: ModuleType) -> str:
    """The name a study uses for a family: its file's name."""
    return family.__name__.rpartition(".")[2]


def _nearest(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(str(key), known, n=1)
    return f", did you mean {near[0]!r}" if near else ""


def _require_family(family: ModuleType) -> None:
    """Raise ValueError unless the module has the parts of the contract in `zoo`."""
    there = dir(family)  # to ask for a part may import torch
    grows = "grow" in there or hasattr(family, "grow")
    parts = ["KIND", "TRAINS_ON", "Config", "build", "staged" if grows else "optimizer", "loss", "terms"]
    if getattr(family, "KIND", None) == "autoencoder":
        parts += ["encode", "reconstruct", "resample"]
    if getattr(family, "KIND", None) == "regressor":
        parts += ["quantiles"]
    absent = [part for part in parts if part not in there and not hasattr(family, part)]
    absent = absent or [f"Config.{name}" for name in TRAINING_FIELDS
                        if not (hasattr(family.Config, name) or (grows and name == "batch_size"))]  # fmt: skip
    if absent:
        raise ValueError(f"{name_of(family)} is not a model family: it lacks {', '.join(absent)}.")


def configure(family: ModuleType, fields: dict[str, Any]) -> Any:
    """The family's `Config` with these fields, typed and normalised: 10 and 10.0 give equal configs.

    Raises ValueError, one sentence, for a module that is no family, an unknown key (with the nearest known
    one) or a value that is not accepted.
    """
    _require_family(family)
    known = {field.name: field for field in dataclasses.fields(family.Config)}
    accepted = {}
    for key, value in fields.items():
        if key not in known:
            shown = f"{name_of(family)} has no field {key!r}{_nearest(key, list(known))}"
            raise ValueError(f"{shown}; accepted are {', '.join(sorted(known))}.")
        accepted[key] = _accept(family, known[key], value)
    return family.Config(**accepted)


def identity(family: ModuleType, config: dict[str, Any]) -> dict[str, Any]:
    """The fields of a config that name a fit: all, but those that came later and are at their default."""
    defaults = {field.name: field.default for field in dataclasses.fields(family.Config) if field.metadata.get("later")}
    return {name: value for name, value in config.items() if name not in defaults or value != defaults[name]}


def check_input(family: ModuleType, n_features: int, config: Any = None) -> None:
    """Raise ValueError, one sentence, unless the family, as configured, takes events of this many features."""
    shape, most = getattr(family, "INPUT_SHAPE", None), getattr(family, "MOST_FEATURES", math.inf)
    if n_features > most:
        raise ValueError(f"{name_of(family)} takes events of at most {most} values, not {n_features}")
    if config is not None and hasattr(family, "check"):
        family.check(config, n_features)
    if shape is None or math.prod(shape) == n_features:
        return
    size = " x ".join(map(str, shape)) + (f" = {math.prod(shape)}" if len(shape) > 1 else "")
    noun = "images" if len(shape) > 1 else "events"
    raise ValueError(f"{name_of(family)} takes {noun} of {size} values, not {n_features}")


def _accept(family: ModuleType, field: dataclasses.Field, value: Any) -> Any:
    rule = field.metadata.get("rule") or _plain_rule(field.default)
    converted = rule.convert(value)
    if converted is None:
        shown = f"{name_of(family)}: {field.name} = {value!r}"
        raise ValueError(f"{shown} is not accepted; it must be {rule.accepts}.")
    return converted
