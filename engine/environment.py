"""What libraries want of an account, where there is none: on a batch node, in a container, under a foreign user id."""

import gc
import getpass
import os
import stat
import tempfile
from pathlib import Path

MOST_WORKERS = 1024  # processes of one machine
COLLECT = 50_000, 20, 50  # objects made before Python looks for cycles, and how often it looks at older ones


def prepare() -> None:
    """Gives caches a folder where the home folder cannot be written, and the user a name; what is set stays."""
    home = os.environ.get("HOME", "")
    if not (os.path.isdir(home) and os.access(home, os.W_OK | os.X_OK)):
        folder = _own_folder()
        for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "XDG_CACHE_HOME"):
            os.environ.setdefault(name, f"{folder}/{name.lower()}")
        Path(os.environ["MPLCONFIGDIR"]).mkdir(parents=True, exist_ok=True)
        if not os.path.isdir(home):
            os.environ["HOME"] = str(folder)
    try:
        getpass.getuser()
    except (KeyError, OSError):  # before Python 3.13 and since
        os.environ["LOGNAME"] = f"uid-{os.getuid()}"


def rarely_collect() -> None:
    """Has Python look for cycles of objects rarely: torch, MLflow and pandas leave it 700 000 objects, which nothing
    frees, and to go through them took a fifth of a scan's start and end."""
    gc.set_threshold(*COLLECT)


def _own_folder() -> Path:
    """The same in every process, if nobody else has made it: numba's cache is code."""
    folder = Path(tempfile.gettempdir()) / f"recoilscan-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
        return folder
    return Path(tempfile.mkdtemp(prefix="recoilscan-"))
