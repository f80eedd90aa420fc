"""Options of a spectrum: checked once, then handed to its `rate` as keywords."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import BadInput, unknown


class Options(BaseModel):
    """Base of every spectrum's options: frozen, unknown names refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def configure(spectrum: ModuleType, fields: Mapping[str, Any]) -> Options:
    """A spectrum's options from what a study gives, complete and checked.

    Raises BadInput in one line, which names the option, shows its value and says what would be accepted.
    """
    accepted = getattr(spectrum, "Options", Options)
    try:
        return accepted.model_validate(dict(fields))
    except ValidationError as error:
        raise _explained(spectrum, accepted, error) from error


def _explained(spectrum: ModuleType, accepted: type[Options], error: ValidationError) -> BadInput:
    # a misspelt name comes before the option that is missing because of it
    first = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")[0]
    name = spectrum.__name__.rpartition(".")[-1]
    option = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return unknown(f"option of the spectrum {name!r}", option, accepted.model_fields)
    if isinstance(cause := first.get("ctx", {}).get("error"), BadInput):
        return BadInput(f"{name}: {cause}")
    given = "" if first["type"] == "missing" else f" (given: {first['input']!r})"
    return BadInput(f"{name}.{option}: {first['msg']}{given}")


def describe(spectrum: ModuleType, options: Options) -> tuple[str, float | None]:
    """Kind ("ER" or "NR") and relative 1 sigma uncertainty of the rate, None for a signal, under these options."""
    if hasattr(spectrum, "describe"):
        return spectrum.describe(options)
    return spectrum.KIND, getattr(spectrum, "RELATIVE_UNCERTAINTY", None)


def identity(spectrum: ModuleType, options: Options) -> dict[str, Any]:
    """What of the options a digest is made of: plain data, in which a user's file stands by its content."""
    if hasattr(spectrum, "identity"):
        return spectrum.identity(options)
    return options.model_dump(mode="json")


def has_own_events(spectrum: ModuleType) -> bool:
    """Whether a component of this spectrum is thrown, or read, for itself: its events serve no other."""
    return hasattr(spectrum, "throw") or hasattr(spectrum, "read")
