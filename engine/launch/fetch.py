"""What a pod runs before Ray: a study and its files, the large ones from the store, are put where the scan finds them.

    python -m engine.launch.fetch STORE SOURCE TARGET

SOURCE is the folder of a ConfigMap with `study.toml` and `files.json`, the SHA-256 of each file by its path.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import obstore
from obstore.exceptions import BaseError

from engine.errors import BadInput
from engine.store.backend import first_line, opened

STUDY, LIST = "study.toml", "files.json"
EVENTS = "events.csv"  # observed ones, where a list of them travels
INPUTS = "inputs"  # in a study's store: files by their SHA-256
FAULTS = (BaseError, OSError)  # the latter: an object that is not there, or a disk that is full


def send(files: dict[str, str], store: str) -> None:
    """Puts files, by path their SHA-256, into a store that lacks them; raises BadInput where it cannot."""
    bucket = opened(store)
    try:
        for path, digest in files.items():
            if not _is_there(bucket, digest):
                obstore.put(bucket, f"{INPUTS}/{digest}", Path(path))
    except FAULTS as error:
        raise BadInput(f"the study's files, too large for a ConfigMap, go by the store, to which this machine cannot "
                       f"write: {first_line(error)}; give it the store's keys") from None  # fmt: skip


def fetch(store: str, source: Path, target: Path) -> None:
    """Makes the folder in which a scan starts; raises BadInput for a file that the store has not or has otherwise."""
    for name in (STUDY, EVENTS):
        if (source / name).is_file():
            shutil.copy(source / name, target)
    bucket = opened(store)
    for path, digest in json.loads((source / LIST).read_text()).items():
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = _written(obstore.get(bucket, f"{INPUTS}/{digest}"), place)
        except FAULTS as error:
            raise BadInput(f"cannot fetch {path}: {first_line(error)}") from None
        if found != digest:
            raise BadInput(f"{path} has the SHA-256 {found} in the store, and {digest} where it was launched")


def _is_there(bucket, digest: str) -> bool:
    try:
        obstore.head(bucket, f"{INPUTS}/{digest}")
    except FileNotFoundError:
        return False
    return True


def _written(answer, place: Path) -> str:
    """The SHA-256 of what was written, a piece at a time: files are larger than the memory of this pod may be."""
    made = hashlib.sha256()
    with place.open("wb") as file:
        for piece in answer.stream():
            file.write(piece)
            made.update(piece)
    return made.hexdigest()


if __name__ == "__main__":
    uri, source_folder, target_folder = sys.argv[1:]
    try:
        fetch(uri, Path(source_folder), Path(target_folder))
    except BadInput as fault:
        sys.exit(f"error: {fault}")
