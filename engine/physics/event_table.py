"""A table of events for a study's `user_events`, from readouts that were simulated or recorded."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine import schemas

ROWS_PER_GROUP = 2000  # a reader takes whole groups: as many events as a shard has


def write(
    path: str | Path, features: np.ndarray, columns: dict[str, np.ndarray], weight: np.ndarray | None = None
) -> None:
    """Writes events as `engine.schemas.USER_EVENTS`.

    `features` (n, length) as a representation gives them, e.g. `vector.features(readout, tpc)`; `columns` (n,) as
    `engine.physics.events.simulate` gives them, of which `ces_keVee` is needed and the rest is optional: what the
    schema does not have is left out, and so are events that `registered` calls false. `weight` (n,), if not all 1.

    Accidental pairs: `dataclasses.replace` the S1 of one simulated readout, its fields s1_*, by another's.
    Raises ValueError where lengths differ.
    """
    kept = np.asarray(columns.get("registered", np.ones(len(features), bool)), bool)
    flat = pa.array(np.ascontiguousarray(features[kept]).reshape(-1))
    table = {"features": pa.FixedSizeListArray.from_arrays(flat, features.shape[1])}
    for name, values in (columns if weight is None else columns | {"weight": weight}).items():
        if name in schemas.USER_EVENTS.names:
            if len(values) != len(features):
                raise ValueError(f"{len(values)} values of {name} for {len(features)} events")
            table[name] = pa.array(np.asarray(values, np.float64)[kept])
    pq.write_table(pa.table(table), path, compression="zstd", row_group_size=ROWS_PER_GROUP)
