"""Makes archived.tar.gz anew: `python tests/stores/make.py`. Only for a store of a new kind: the old one must open."""

import tarfile
import tempfile
from pathlib import Path

from engine.run import pipeline
from engine.store.store import Store
from engine.study import load

HERE = Path(__file__).parent
KEPT = ("events", "models", "scores", "nulls", "cells", "exact", "reach", "reach_tables", "limits", "limit_tables",
        "diagnostics", "diagnostic_tables", "tables", "ledger", "plans", "timings")  # fmt: skip


def main() -> None:
    """A scan of archived.toml in one process, as an archive."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline.run(load(str(HERE / "archived.toml")), Store(folder), workers=0, name="archived")
        with tarfile.open(HERE / "archived.tar.gz", "w:gz") as archive:
            for name in KEPT:
                archive.add(Path(folder, name), name)


if __name__ == "__main__":
    main()
