"""The layers of a study: the shipped one that it extends, its own keys, and on top those of the preset that is asked.

```toml
extends = "darwin_plane"          # all that this file leaves open is as there, its presets too
[presets.small]                   # by --preset small, or preset = "small"
models.vae.epochs = 3
```
"""

import tomllib
from typing import Any

from engine.errors import BadInput, shown, unknown
from engine.files import shipped, shipped_text

AS_IT_STANDS = "paper"  # the preset that every study has
WHOLE = {"values", "log", "linear", "choices"}  # keys of an axis, which is one value though it is a table


def whole(raw: dict[str, Any]) -> dict[str, Any]:
    """A study's keys without layers: what it extends beneath, its preset on top, whose name stays.

    Of what has been made whole the same again. Raises BadInput for a study or a preset that there is not.
    """
    raw = _extended(raw)
    name, presets = raw.get("preset", AS_IT_STANDS), raw.get("presets", {})
    if not (isinstance(presets, dict) and all(isinstance(keys, dict) for keys in presets.values())):
        raise BadInput(f"presets = {shown(presets)}: expected [presets.NAME] with keys of a study")
    if name != AS_IT_STANDS and name not in presets:
        raise unknown("preset", name, dict.fromkeys([AS_IT_STANDS, *presets]))
    if not (keys := presets.get(name)):
        return raw
    if layers := [key for key in ("extends", "preset", "presets") if key in keys]:
        raise BadInput(f"presets.{name}.{layers[0]}: a preset has no layers of its own")
    return merged(raw, keys) | {"preset": name, "presets": presets | {name: {}}}


def merged(below: Any, above: Any) -> Any:
    """Tables key by key; an axis, a list, and a table of another `name` take the place of what is below them."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    if WHOLE & above.keys() or above.get("name", below.get("name")) != below.get("name"):
        return above
    return below | {key: merged(below[key], value) if key in below else value for key, value in above.items()}


def _extended(raw: dict[str, Any]) -> dict[str, Any]:
    if "extends" not in raw:
        return raw
    name, own = raw["extends"], {key: value for key, value in raw.items() if key != "extends"}
    if name not in shipped():
        raise unknown("shipped study (extends)", name, shipped())
    return merged(_extended(tomllib.loads(shipped_text(name))), own)
