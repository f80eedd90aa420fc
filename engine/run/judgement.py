"""How well answers to a challenge do, once its answer is opened: a proper score, false alarms, power, coverage."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy

from engine import files
from engine.errors import BadInput, listed
from engine.inference.exact.power import P_THREE_SIGMA
from engine.physics.spectra._tables import cells
from engine.run import challenge
from engine.run.challenge import KNOWN, Answer, Challenge
from engine.store import sealed

COLUMNS = ("name", "p_background", "p_signal", "lower", "upper")
ALARM = 0.05  # p_background up to which a list is a false alarm, or found
LEVEL = 0.9  # of the interval that is asked for
MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Judgement:
    """Counts are (k, n). log_score: mean ln of the probability given to what is true, error: of that mean, None of one
    list; alarms: p_background <= ALARM without a signal; p_small: that p of those lists are not smaller than uniform,
    by Kolmogorov and Smirnov's one-sided test, None without such lists; found, three_sigma: with one; covered: the
    interval holds the number of signal events, in all lists; width: of it, the median."""

    n: int
    log_score: float
    error: float | None
    alarms: tuple[int, int]
    p_small: float | None
    found: tuple[int, int]
    three_sigma: tuple[int, int]
    covered: tuple[int, int]
    width: float


def judge(folder: Path, answers: Path, answer: Path) -> Judgement:
    """Judges answers to the challenge in a folder; raises BadInput for what is not as it was sealed, or no answer."""
    truth = _opened(folder, answer)
    given = _given(answers, [one.name for one in truth.lists])
    rows = np.array([given[one.name] for one in truth.lists])
    p, probability, lower, upper = rows.T
    has_signal = np.array([one.has_signal for one in truth.lists])
    n_signal = np.array([one.n_signal for one in truth.lists])
    logs = np.log(np.where(has_signal, probability, 1 - probability))
    without = p[~has_signal]
    return Judgement(
        n=len(rows), log_score=float(logs.mean()),
        error=float(logs.std(ddof=1) / math.sqrt(len(logs))) if len(logs) > 1 else None,
        alarms=_count(without <= ALARM),
        p_small=float(scipy.stats.kstest(without, "uniform", alternative="greater").pvalue) if len(without) else None,
        found=_count(p[has_signal] <= ALARM), three_sigma=_count(p[has_signal] <= P_THREE_SIGMA),
        covered=_count((lower <= n_signal) & (n_signal <= upper)), width=float(np.median(upper - lower)),
    )  # fmt: skip


def _count(true: np.ndarray) -> tuple[int, int]:
    return int(np.count_nonzero(true)), len(true)


def _opened(folder: Path, answer: Path) -> Answer:
    known = _parsed(Challenge, folder / KNOWN)
    truth = _parsed(Answer, answer)
    if challenge.sha256(answer) != known.answer_sha256:
        raise BadInput(f"{answer} is not the answer that was sealed: its SHA-256 is not the one in {folder / KNOWN}")
    for name, digest in known.lists.items():
        files.check(folder / name)
        if challenge.sha256(folder / name) != digest:
            raise BadInput(f"{folder / name} is not as it was made: its SHA-256 is not the one in {folder / KNOWN}")
    return truth


def _parsed(kind: type, path: Path):
    content = files.read(path, MOST_BYTES)
    try:
        return sealed.parsed(kind, content)
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from error


def _given(path: Path, names: list[str]) -> dict[str, list[float]]:
    """The numbers of every list by its name; raises BadInput."""
    header, rows = cells(files.text(path, MOST_BYTES))
    if sorted(header) != sorted(COLUMNS):
        raise BadInput(f"{path}: needs the columns {', '.join(COLUMNS)}; found: {listed(header) or 'none'}")
    given = {}
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise BadInput(f"{path}: row {number}: {len(row)} cells under {len(header)} column names")
        cell = dict(zip(header, row, strict=True))
        name = cell.pop("name")
        if name not in names or name in given:
            why = "is there twice" if name in given else f"is no list of the challenge ({listed(names)})"
            raise BadInput(f"{path}: row {number}: {name!r} {why}")
        given[name] = _checked(f"{path}: row {number}", cell)
    if missing := [name for name in names if name not in given]:
        raise BadInput(f"{path}: no answer for {listed(missing)}")
    return given


def _checked(where: str, cell: dict[str, str]) -> list[float]:
    numbers = {}
    for name in COLUMNS[1:]:
        try:
            numbers[name] = float(cell[name])
        except ValueError:
            raise BadInput(f"{where}: {name} {cell[name]!r} is no number") from None
    p, probability, lower, upper = numbers.values()
    faults = {
        "p_background must be above 0 and at most 1: with n toys none is below 1 / (n + 1)": not 0 < p <= 1,
        "p_signal must be above 0 and below 1: nobody knows": not 0 < probability < 1,
        "lower and upper must be numbers of events, 0 <= lower <= upper": not 0 <= lower <= upper < math.inf,
    }
    for fault in (fault for fault, is_there in faults.items() if is_there):
        raise BadInput(f"{where}: {fault}; given: {', '.join(f'{name} = {n:g}' for name, n in numbers.items())}")
    return list(numbers.values())
