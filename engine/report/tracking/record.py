"""What MLflow is told, as plain data: a run, and the model that it made."""

from dataclasses import dataclass, field

import numpy as np

HEADLINE = "headline/"  # section of the metrics that runs are compared by
FIELDS = "with"  # parameter, fields of the models in words: the last by name, since the UI compares the first three
PARTIAL = "partial"  # tag of a run whose scan has items without an answer, their number; and the folder of its files


@dataclass(frozen=True)
class Rank:
    """How good a model is: Z (sigma) at the benchmark, and on which ground it stands.

    `ground` is the digest of what Z depends on beside models and R: the pool's events, the question asked of them.
    `pool_events` is the pool's size, by which grounds are told apart.
    """

    z: float
    ground: str
    pool_events: int


@dataclass(frozen=True)
class LoggedModel:
    """A fitted model: what `zoo.save` wrote, and how it is asked.

    `family` is the study's name for it, `short` the one for the registry; `example` float32 of shape (1, n_features);
    `terms` the columns that it gives per event; no `rank` where no Z of the scan looks at a score. `kind` is what it is
    for a score, `about` a line on it.
    """

    family: str
    short: str
    data: bytes
    example: np.ndarray
    terms: tuple[str, ...]
    kind: str
    about: str
    rank: Rank | None = None


@dataclass(frozen=True)
class Record:
    """What one run holds: its lineage, parameters, final metrics, curves by step, and files.

    `inputs` are digests of events by name, `sizes` how many events these are where it is known; `children` the runs
    nested in it; `note` the lines that the UI shows on top, the most important first. Tags hold `stage`, what the run
    is of, and `study`.
    """

    lineage: str
    name: str
    parameters: dict[str, object]
    metrics: dict[str, float]
    curves: dict[str, list[tuple[int, float]]]
    files: dict[str, bytes]
    tags: dict[str, str]
    inputs: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    children: tuple["Record", ...] = ()
    model: LoggedModel | None = None
    note: tuple[str, ...] = ()
