"""What is refused before anything is created: addresses and files that mean nothing in a cluster, and passwords."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from engine.errors import BadInput
from engine.urls import hidden

REMOTE_STORES = ("s3", "gs")
NO_CLIENT = ("az", "azure", "adl", "abfs", "abfss")  # fits in groups and MLflow need one that the image has not
# a shell reads the entrypoint twice: nothing that it would take for itself
WORD = re.compile(r"[A-Za-z0-9._~:/%+=,\[\]-]+")
BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]*")
IMAGE = re.compile(
    r"[a-z0-9][a-z0-9._-]*(:\d+(?=/))?(/[a-z0-9._-]+)*(:(?P<tag>\w[\w.-]{0,127}))?(@sha256:(?P<hash>[0-9a-f]{64}))?"
)
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
UNITS_S = {"m": 60, "h": 3600, "d": 86400}
TIME = re.compile(r"(?P<number>\d{1,6})(?P<unit>[mhd])")


def store(uri: str) -> str:
    """A store's prefix that every pod reaches; raises BadInput."""
    parts = _address("--store", uri)
    if parts.scheme in NO_CLIENT:
        raise BadInput(f"--store {uri!r}: the image has no client for Azure's buckets; expected "
                       f"{', '.join(REMOTE_STORES)}://bucket/prefix (k8s/README.md)")  # fmt: skip
    if parts.scheme not in REMOTE_STORES or not parts.netloc:
        raise BadInput(f"--store {uri!r} is no bucket, and a folder is of this machine alone; expected "
                       f"{', '.join(REMOTE_STORES)}://bucket/prefix")  # fmt: skip
    if not BUCKET.fullmatch(parts.netloc):
        raise BadInput(f"--store {uri!r}: {parts.netloc!r} is no bucket's name; expected small letters, digits, - and"
                       " ., as in --store s3://my-bucket/prefix")  # fmt: skip
    return uri.rstrip("/")


def tracking(uri: str) -> str:
    """The address of an MLflow server that every pod reaches; raises BadInput."""
    parts = _address("--tracking", uri)
    if parts.scheme not in ("http", "https") or is_local(parts.hostname):
        raise BadInput(f"--tracking {uri!r} is of this machine alone, which a cluster does not reach; "
                       "expected http://mlflow:5000 or another server's address")  # fmt: skip
    return uri


def plain(option: str, uri: str) -> str:
    """Any address or absolute folder, for a cluster on this machine; raises BadInput."""
    parts = _address(option, uri)
    if not parts.scheme and not uri.startswith("/"):
        raise BadInput(f"{option} {uri!r}: a job works in another folder; expected an absolute path or an address")
    return uri


def job_server(uri: str) -> str:
    """The address of a Ray cluster's job server; raises BadInput."""
    parts = _address("--jobs", uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"--jobs {uri!r}: expected http://host:8265")
    return uri.rstrip("/")


def is_local(host: str | None) -> bool:
    """Whether an address means the machine on which it is read."""
    if host is None or host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def image(option: str, name: str) -> str:
    """An image with a version; raises BadInput for none and for `latest`, which name another image every day."""
    match = IMAGE.fullmatch(name)
    if not match:
        raise BadInput(f"{option} {name!r} is no name of an image; expected REPO:TAG or REPO@sha256:...")
    if match["hash"] is None and match["tag"] in (None, "latest"):
        raise BadInput(f"{option} {name!r} has no version: retries could run another code; expected REPO:TAG")
    return name


def label(option: str, name: str) -> str:
    """The name of a namespace or a queue; raises BadInput."""
    if not LABEL.fullmatch(name):
        raise BadInput(f"{option} {name!r}: expected small letters, digits and -, 63 at most")
    return name


def seconds(option: str, text: str) -> int:
    """A time such as 90m, in seconds; raises BadInput."""
    match = TIME.fullmatch(text)
    if not match or int(match["number"]) == 0:
        raise BadInput(f"{option} {text!r}: expected a time like 90m, 6h or 2d")
    return int(match["number"]) * UNITS_S[match["unit"]]


def _address(option: str, uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise BadInput(f"{option}: not an address: {hidden(str(error))}") from None
    if "@" in uri or hidden(uri) != uri:  # not shown: an error is read by more people than a secret should be
        raise BadInput(f"{option} holds a user, a password or a token; name none: pods get them from secrets "
                       "(k8s/README.md)")  # fmt: skip
    if not WORD.fullmatch(uri):
        raise BadInput(f"{option} {uri!r}: a shell would read more than an address in it")
    return parts
