"""Options of a choice (a spectrum, a statistic): checked once, then handed over as one frozen object."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from engine.errors import BadInput, shown, unknown


class Options(BaseModel):
    """Base of every choice's options: frozen, unknown names refused, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def configure(choice: ModuleType, fields: Mapping[str, Any]) -> Options:
    """A choice's options from what a study gives, complete and checked by the choice's own `Options`.

    Raises BadInput in one line, which names the option, shows its value and says what would be accepted.
    """
    accepted = getattr(choice, "Options", Options)
    try:
        return accepted.model_validate(dict(fields))
    except ValidationError as error:
        raise _explained(choice, accepted, error) from error


def _explained(choice: ModuleType, accepted: type[Options], error: ValidationError) -> BadInput:
    # a misspelt name comes before the option that is missing because of it
    first = sorted(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")[0]
    name = choice.__name__.rpartition(".")[-1]
    option = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return unknown(f"option of {name!r}", option, accepted.model_fields)
    if isinstance(cause := first.get("ctx", {}).get("error"), BadInput):
        return BadInput(f"{name}: {cause}")
    given = "" if first["type"] == "missing" else f" (given: {shown(first['input'])})"
    return BadInput(f"{name}.{option}: {first['msg']}{given}")
