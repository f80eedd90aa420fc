"""Where a store is: a folder or a bucket behind a URI."""

import os
import re
from datetime import timedelta
from pathlib import Path

from obstore.store import LocalStore, from_url

from engine.errors import StoreError, shown
from engine.urls import hidden

RETRIES = {  # of one request that a bucket refuses (5xx) or drops; a task that fails is tried again as a whole
    "max_retries": 8,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=10), "base": 2},
}


SCHEMES = "s3a?|gs|gcs|az|azure|adl|abfss?|https?|file"
ACCEPTED = "a folder, s3://bucket/prefix, gs://, az:// or https://"
MALFORMED = re.compile(rf"({SCHEMES})(?::(?!//)|//)/*(.*)", re.IGNORECASE)  # s3:/bucket, s3:bucket, s3//bucket


def checked(uri: str | os.PathLike) -> str:
    """A store's URI; raises StoreError for what is neither a folder nor an address, and says which was meant."""
    text = os.fspath(uri) if isinstance(uri, str | os.PathLike) else ""
    if not text.strip() or "\0" in text:
        raise StoreError(f"the store {shown(uri)} is no folder; give one, or s3://bucket/prefix")
    if match := MALFORMED.fullmatch(text):
        scheme, rest = match.groups()
        meant = f"{scheme}://{'/' if scheme.lower() == 'file' else ''}{rest}"
        raise StoreError(f"the store {shown(text)} is no address: write {shown(meant)}, or ./{text} for a folder")
    if "://" in text:
        _check_address(text)
    return text


def _check_address(text: str) -> None:
    """Raises StoreError for an address of no known kind, without a bucket, or of a folder that is not written whole."""
    scheme, _, rest = text.partition("://")
    kind = scheme.lower()
    if not re.fullmatch(f"{SCHEMES}|memory", kind):
        raise StoreError(f"the store {shown(text)} is of no kind that is known (accepted: {ACCEPTED})")
    if kind == "file" and not rest.startswith("/"):
        raise StoreError(f"the store {shown(text)}: write {shown(f'file:///{rest}')}, or ./{rest} for a folder")
    if kind not in ("file", "memory") and (not rest or rest.startswith("/")):
        raise StoreError(f"the store {shown(text)} names no bucket: write {shown(f'{scheme}://bucket/prefix')}")


def is_local(uri: str) -> bool:
    """Whether a URI is a folder's."""
    return "://" not in uri or uri.startswith("file://")


def folder_of(uri: str) -> Path:
    """The folder of such a URI."""
    return Path(uri.removeprefix("file://")).absolute()


def opened(uri: str):
    """The object store behind a URI; raises StoreError in one line."""
    if uri.startswith("memory:"):
        raise StoreError(f"the store {hidden(uri)!r} would be gone with the process; give a folder or s3://")
    try:
        if not is_local(uri):
            plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http:")
            return from_url(uri, client_options={"allow_http": plain}, retry_config=RETRIES)
        return LocalStore(folder_of(uri), mkdir=True)
    except Exception as error:
        raise StoreError(f"cannot open the store {hidden(uri)!r}: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    """What an error says, shortly and without a secret."""
    return hidden(str(error).splitlines()[0]) if str(error) else type(error).__name__
