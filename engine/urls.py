"""Texts that may hold a secret: an address, an error that names one, a line that is printed again."""

import os
import re
import sys
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, unquote

NAMES = (r"(?:passw(?:or)?d|passphrase|passfile|token|secret|signature|credential|authorization|"
         r"(?:access|account|api|private|shared)[-_. ]?key)[\w.-]{0,40}|\b(?:pass|pwd|sig)")  # fmt: skip
VALUE = r"""'(?:\\+.|[^'\\])*'|"(?:\\+.|[^"\\])*"|[^\s&]{1,2000}?(?=[\]'"),;:.}]*(?:[\s&]|%26|$))"""
# of the first: up to the last @, since a password may hold one
PATTERNS = [re.compile(pattern, re.IGNORECASE) for pattern in (
    r"((?:://|%3A%2F%2F)[^/\s:%]{0,256}(?::|%3A))(?P<secret>\S{0,500})(?=@|%40)",
    r"((?<![^\s='\"(,])[\w.+-]{1,64}:)(?P<secret>[^\s/@:]+)(?=@(?!sha256:))",  # of an address without its scheme
    rf"((?:{NAMES})['\"]?\s*(?:=|:(?!//)|%3D)\s*(?:(?:bearer|basic)\s+)?)(?P<secret>{VALUE})",
    r"(\bbearer\s+)(?P<secret>[^\s'\"]+)",
)]  # fmt: skip
OF_ENVIRONMENT = re.compile(r"PASSWORD|PASSWD|TOKEN|SECRET|API_?KEY|ACCESS_KEY", re.IGNORECASE)
LEAST = 6  # characters of a secret that is looked for by itself: a shorter one may be any word


def hidden(text: str) -> str:
    """A text with every secret in it as ***: by its form, and what the command line and environment hold of them."""
    for secret in _given(tuple(sys.argv), tuple(os.environ.items())):
        text = text.replace(secret, "***")
    for pattern in PATTERNS:
        text = pattern.sub(r"\1***", text)
    return text


@lru_cache(maxsize=1)
def _given(arguments: tuple[str, ...], environment: tuple[tuple[str, str], ...]) -> list[str]:
    """The secrets that this process was handed, as an error may spell them; the longest first."""
    found = {value for name, value in environment if OF_ENVIRONMENT.search(name) and os.sep not in value}
    for text in (*arguments, *(value for _, value in environment if "://" in value)):
        found.update(_secrets(text))
    spelt = {form for one in found for form in (one, unquote(one), quote(one, safe="", errors="replace"))}
    return sorted((form for form in spelt if len(form) >= LEAST), key=len, reverse=True)


def _secrets(text: str) -> Iterator[str]:
    return (match["secret"].strip("'\"") for pattern in PATTERNS for match in pattern.finditer(text))
