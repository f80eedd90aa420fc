"""Plain data as TOML: the standard library reads it and does not write it."""

import json
import re

BARE = re.compile(r"[A-Za-z0-9_-]+")


def dumps(data: dict) -> str:
    """Sections as tables, all else inline; what `tomllib` reads comes back equal, without comments."""
    return "\n".join(_lines(data, "")) + "\n"


def _lines(table: dict, prefix: str) -> list[str]:
    sections = {key: value for key, value in table.items() if isinstance(value, dict)}
    lines = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if key not in sections]
    for key, inner in sections.items():
        path = f"{prefix}{_key(key)}"
        holds_values = not inner or any(not isinstance(value, dict) for value in inner.values())
        lines += [*(["", f"[{path}]"] if holds_values else []), *_lines(inner, f"{path}.")]
    return lines


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _text(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_key(key)} = {_value(inner)}' for key, inner in value.items())} }}"
    return _text(str(value))


def _text(text: str) -> str:
    # a basic string of TOML escapes as JSON does, but for DEL, and knows no surrogates
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
