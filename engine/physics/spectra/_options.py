"""What a spectrum says of itself under its options."""

from types import ModuleType
from typing import Any

from engine.options import Options, configure
from engine.size import STRENGTH, Size

__all__ = ["Options", "configure", "describe", "has_own_events", "identity", "size"]


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


def size(spectrum: ModuleType) -> Size:
    """What a signal of this spectrum is linear in: its `SIZE`, or for a signal without a mass its strength."""
    return getattr(spectrum, "SIZE", STRENGTH)
