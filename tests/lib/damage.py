"""What may happen to an object of a store, in ten ways (a byte flips in three places), on a folder."""

import shutil
from collections.abc import Callable
from pathlib import Path

FLIPS = {"flipped early": 0.05, "flipped in the middle": 0.5, "flipped late": 0.95}


class Others:
    """Files that may come to lie in the place of another: of a store of an older version, and of this one."""

    def __init__(self, older: Path):
        self.older = older

    def sibling(self, path: Path) -> Path | None:
        """Another object of the same kind."""
        return next((one for one in _files(path.parent) if one != path), None)

    def of_older_version(self, path: Path, store: Path) -> Path | None:
        """One of the same kind that an older version made."""
        kind = path.relative_to(store).parts[0]
        return next((one for one in _files(self.older / kind) if one.name != path.name), None)

    def of_another_kind(self, path: Path, store: Path) -> Path:
        """A whole object of another kind."""
        files = (one for kind in ("nulls", "events", "limits") for one in _files(store / kind))
        return next(one for one in files if one.parent != path.parent)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def flip(path: Path, share: float = 0.5) -> None:
    """One bit of the byte there."""
    data = bytearray(path.read_bytes())
    data[int(share * (len(data) - 1))] ^= 1
    path.write_bytes(bytes(data))


def damage(way: str, path: Path, store: Path, others: Others) -> bool:
    """Damages one object; whether there was what the way needs. `unreadable` is for a caller who can do it to root."""
    if way in FLIPS:
        flip(path, FLIPS[way])
    elif way == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif way == "empty":
        path.write_bytes(b"")
    elif way in ("deleted", "folder", "dangling link"):
        path.unlink()
        if way == "folder":
            (path / "within").mkdir(parents=True)
        if way == "dangling link":
            path.symlink_to(path.parent / "nowhere")
    elif way == "swapped with a sibling":
        return _swapped(path, others.sibling(path))
    else:
        find: dict[str, Callable] = {"older version": others.of_older_version, "another kind": others.of_another_kind}
        other = find[way](path, store)
        if other is not None:
            shutil.copyfile(other, path)
        return other is not None
    return True


def _swapped(path: Path, other: Path | None) -> bool:
    if other is not None:
        mine, theirs = path.read_bytes(), other.read_bytes()
        path.write_bytes(theirs)
        other.write_bytes(mine)
    return other is not None


UNREADABLE = "unreadable"
WAYS = (*FLIPS, "truncated", "empty", "deleted", "swapped with a sibling", "older version", "another kind",
        UNREADABLE, "folder", "dangling link")  # fmt: skip
