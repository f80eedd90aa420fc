"""What `observe` leaves behind of several lists in one search, beside what it leaves of each."""

import json
from collections.abc import Iterator

import pyarrow as pa

from engine.lineage import row_label
from engine.report import observed
from engine.report.tracking import Record
from engine.report.tracking.journal import environment, in_words
from engine.run import observed_limits
from engine.run.joint import JointObservation


def lines_before(joint: JointObservation) -> Iterator[str]:
    """The power of all lists at once; nothing of the data."""
    for (R, statistic), power in joint.powers().items():
        yield f"together: power for three sigma at the benchmarks: {row_label(statistic, R)} {power:.3f}"


def lines_after(joint: JointObservation, tables: dict[str, pa.Table]) -> Iterator[str]:
    """The p and the limits of all lists at once."""
    rows, size = tables["statistics"].to_pylist(), joint.lists[0].plan.study.signal.size
    yield f"together: {len(joint.lists)} lists, {rows[0]['n_events']} events, {rows[0]['n_background']:.1f} expected"
    for line in (*observed.p_lines(rows), *observed.limit_lines(tables["limits"], size)):
        yield f"together: {line}"


def tables(joint: JointObservation, other_settings: list[int]) -> dict[str, pa.Table]:
    """`statistics` and `limits` of all lists at once; other settings: of the list that was seen under most."""
    return {
        "statistics": observed.statistics(joint.lists, joint, joint.statistics, max(other_settings)),
        "limits": observed_limits.table(list(joint.lists)),
    }


def files(joint: JointObservation, made: dict[str, pa.Table], format: str = "png") -> dict[str, bytes]:
    """The tables as Parquet and CSV, and the figure of the limits, by file name."""
    return observed.csv_and_parquet(made) | observed.limit_figure(joint.lists, made["limits"], format)


def record(names: list[str], joint: JointObservation, made: dict[str, pa.Table], kept: dict[str, bytes]) -> Record:
    """A run for MLflow, with the tables and the figure."""
    row, metrics = made["statistics"].to_pylist()[0], observed.measured(made, joint.lists[0].plan.study.signal.size)
    shared = {name: row[name] for name in ("exposure_ty", "n_events", "n_background", "other_settings")}
    studies = {f"study_{place}.json": json.dumps(seen.plan.study.fields(), indent=1).encode()
               for place, seen in enumerate(joint.lists)}  # fmt: skip
    tags = {"stage": "observe", "study": "+".join(names), "trusted": str(row["trusted"])} | in_words(environment())
    data = {f"data_{place}": seen.events.data for place, seen in enumerate(joint.lists)}
    return Record(f"{joint.setting}-joint", f"{' + '.join(names)} observed together", shared, metrics, {},
                  kept | studies, tags, data)  # fmt: skip
