"""A battery's table: its rows beside the oracle's, the search that tries everything, and what each is blind to."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine import schemas
from engine.assembly import rows
from engine.inference import battery
from engine.inference.reach import BELOW, BEYOND, FOUND
from engine.lineage import label
from engine.physics import spectra
from engine.plan.battery_plan import KNOWN_PLANE, Target, is_tried
from engine.plan.plan import Plan
from engine.study.battery import COMBINED, ORACLE

AT_LEAST, AT_MOST, NO_ORACLE = "at_least", "at_most", "no_oracle"


def table(plan: Plan, schema: pa.Schema, stored: list[dict], places: dict[str, Target]) -> pa.Table:
    """All rows. stored: those of `battery_schemas.BATTERY_ROW`; places: what each is of, by its item."""
    made = [row | _place(plan, places[row["lineage"]]) for row in stored]
    tried = [row for row in made if is_tried(plan, places[row["lineage"]])]
    made += [_combined(plan, name, [row for row in tried if row["signal"] == name])
             for name in plan.study.battery.signals]  # fmt: skip
    oracle = {row["signal"]: row for row in made if row["score"] == KNOWN_PLANE}
    setting = rows.setting(plan)
    whole = [setting | row | beside(row, oracle[row["signal"]]) | {"model_dependent": row["statistic"] == ORACLE}
             for row in made]  # fmt: skip
    return schemas.of_rows(schema, whole)


def _place(plan: Plan, target: Target) -> dict:
    return _of_signal(plan, target.signal) | {"score": target.score, "R": target.R, "statistic": target.statistic}


def _of_signal(plan: Plan, name: str) -> dict:
    one = plan.study.battery.signals[name]
    return {"signal": name, "spectrum": one.spectrum, "kind": one.kind, "m_chi_GeV": one.m_chi_GeV, "size": one.value,
            "size_name": spectra.size(one.module[0]).name, "replaces": one.replaces}  # fmt: skip


def _combined(plan: Plan, name: str, tried: list[dict]) -> dict:
    """The smallest p of all that is tried, at Bonferroni's price: the first that shows p / n_choices. Its error is that
    of the statistic which does, as a share of the exposure."""
    first = min(tried, key=lambda row: np.inf if row["t3_priced_ty"] is None else row["t3_priced_ty"])
    t3_ty, error = first["t3_priced_ty"], None
    if t3_ty is not None and first["t3_error_ty"] is not None:
        error = t3_ty * first["t3_error_ty"] / first["t3_ty"]
    status = BEYOND if t3_ty is None else BELOW if t3_ty <= first["from_ty"] else FOUND
    return first | _of_signal(plan, name) | {"score": None, "R": None, "statistic": COMBINED, "status": status,
                                            "t3_ty": t3_ty, "t3_error_ty": error}  # fmt: skip


def beside(row: dict, oracle: dict) -> dict:
    """The columns that compare a row with the oracle's. A bound is an end of the range over the oracle's exposure; an
    oracle that is not within the range gives no ratio."""
    found = {"t3_oracle_ty": oracle["t3_ty"], "t3_oracle_error_ty": oracle["t3_error_ty"], "ratio": None,
             "ratio_error": None, "ratio_is": NO_ORACLE}  # fmt: skip
    if oracle["status"] != FOUND:
        return found
    if row["t3_ty"] is None:
        return found | {"ratio": row["to_ty"] / oracle["t3_ty"], "ratio_is": AT_LEAST}
    ratio = row["t3_ty"] / oracle["t3_ty"]
    if row["status"] == BELOW:
        return found | {"ratio": ratio, "ratio_is": AT_MOST}
    errors = [one["t3_error_ty"] and one["t3_error_ty"] / one["t3_ty"] for one in (row, oracle)]
    error = None if None in errors else ratio * float(np.hypot(*errors))
    return found | {"ratio": ratio, "ratio_error": error, "ratio_is": FOUND}


@dataclass(frozen=True)
class Ranked:
    """What a statistic on a score makes of all signals whose oracle is within the range.

    worst, median: ratio to the oracle, and whether it is only a lower bound; blind_to: signals beyond the range.
    """

    score: str | None
    R: float | None
    statistic: str
    n_signals: int
    blind_to: tuple[str, ...]
    worst: tuple[float, bool]
    worst_at: str
    median: tuple[float, bool]

    @property
    def place(self) -> tuple[str | None, str]:
        """The score and the statistic."""
        return self.score, self.statistic

    @property
    def is_combined(self) -> bool:
        """Whether it is the search that tries everything."""
        return self.statistic == COMBINED

    @property
    def label(self) -> str:
        """For a metric's name."""
        return "_".join(filter(None, [self.score, self.statistic]))

    @property
    def words(self) -> str:
        """As a reader is told it."""
        return words(self.score, self.R, self.statistic)

    @property
    def said(self) -> str:
        """Its numbers in a clause."""
        worst = f"{bounded(*self.worst)} ({self.worst_at})"
        blind = f"; beyond the range: {', '.join(self.blind_to)}" if self.blind_to else ""
        return f"T3 over the oracle's: median {bounded(*self.median)}, worst {worst}{blind}"


def words(score: str | None, R: float | None, statistic: str) -> str:
    """A statistic and what it looks at."""
    weight = f" (R = {label(R)})" if R else ""
    return statistic if score is None else f"{statistic} on {score}{weight}"


def bounded(value: float, is_bound: bool) -> str:
    """A ratio, or the least that it is."""
    return f"{'> ' if is_bound else ''}{value:.3g}"


def ranking(found: pa.Table) -> list[Ranked]:
    """Every statistic on a score that knows no signal, `combined` among them: those that are blind to fewest first,
    then by the median. Empty where no oracle is within the range."""
    of: dict[tuple, list[dict]] = {}
    for row in found.to_pylist():
        if row["statistic"] != ORACLE and row["ratio_is"] != NO_ORACLE:
            of.setdefault((row["score"], row["R"], row["statistic"]), []).append(row)
    return sorted((_ranked(*pair, some) for pair, some in of.items()), key=lambda one: (len(one.blind_to), *one.median))


def _ranked(score: str | None, R: float | None, statistic: str, some: list[dict]) -> Ranked:
    ratios, bounds = [row["ratio"] for row in some], [row["ratio_is"] == AT_LEAST for row in some]
    blind = tuple(row["signal"] for row in some if row["ratio_is"] == AT_LEAST)
    at = max(some, key=lambda row: row["ratio"])["signal"]
    return Ranked(score, R, statistic, len(some), blind, battery.worst(ratios, bounds), at,
                  battery.median(ratios, bounds))  # fmt: skip


def signals(found: pa.Table) -> list[str]:
    """Names in the order of the study."""
    return found["signal"].unique().to_pylist()


def said_of(found: pa.Table, signal: str) -> str:
    """Of a signal the oracle's exposure, that of the best search that knows none, and of the combined one."""
    mine = [row for row in found.to_pylist() if row["signal"] == signal]
    oracle = next(row for row in mine if row["score"] == KNOWN_PLANE)
    blind = [row for row in mine if row["statistic"] not in (ORACLE, COMBINED)]
    best = min(blind, key=lambda row: np.inf if row["t3_ty"] is None else row["t3_ty"])
    combined = next(row for row in mine if row["statistic"] == COMBINED)
    which = "" if best["t3_ty"] is None else f" ({words(best['score'], best['R'], best['statistic'])})"
    return (f"{oracle['n_signal_per_ty']:.3g} events per t y; oracle {exposure(oracle)}, best that knows no signal "
            f"{exposure(best)}{which}, combined {exposure(combined)}")  # fmt: skip


def exposure(row: dict) -> str:
    """The exposure of a row with its error, or the range's end."""
    if row["status"] == BEYOND:
        return f"beyond {row['to_ty']:g} t y"
    if row["status"] == BELOW:
        return f"below {row['from_ty']:g} t y"
    error = "" if row["t3_error_ty"] is None else f" +- {row['t3_error_ty']:.2g}"
    return f"{row['t3_ty']:.3g}{error} t y"


def starred(row: dict) -> str:
    """`exposure` as a cell of a table; `*`: too few pool events are behind it."""
    return exposure(row).removesuffix(" t y") + ("*" if row["pool_limited"] else "")


def answer(found: pa.Table) -> str:
    """What a search that knows no signal should take, what it finds, what it is blind to and what all searches as one
    find, and which signals are in its score, but not in the tail that it looks at."""
    if not (ranked := ranking(found)):
        return "No oracle is within the range of exposures."
    names, to_ty = signals(found), found["to_ty"][0].as_py()
    seen_by: dict[tuple[str | None, str], list[str]] = {}
    for row in found.to_pylist():
        if row["status"] != BEYOND:
            seen_by.setdefault((row["score"], row["statistic"]), []).append(row["signal"])
    # of those that find as many the one that is ranked first
    alone = max((one for one in ranked if not one.is_combined), key=lambda one: len(seen_by.get(one.place, ())))
    seen, together = (seen_by.get(place, []) for place in (alone.place, (None, COMBINED)))
    blind = [name for name in names if name not in seen]
    told = [name for name in blind if name in seen_by.get((alone.score, ORACLE), ())]
    said = (f"Of all searches that know no signal {alone.words} finds most: {len(seen)} of {len(names)} within "
            f"{to_ty:g} t y, those whose oracle is within the range after {bounded(*alone.median)} times the oracle's "
            f"exposure in the median; all searches as one, at the price of trying them, find "
            f"{len(together)}.")  # fmt: skip
    if blind:
        said += f" It is blind to {', '.join(blind)}."
    if told:
        said += (f" Told the signal, a search finds {', '.join(told)} on the same score: there the tail that it looks "
                 "at is blind, not the score.")  # fmt: skip
    return said


def ratios_of_combined(found: pa.Table) -> dict[str, float]:
    """Ratio of `combined` by signal, for metrics; a lower bound says so in its name."""
    return {f"battery/ratio_{row['signal']}{'_at_least' if row['ratio_is'] == AT_LEAST else ''}": row["ratio"]
            for row in found.to_pylist() if row["statistic"] == COMBINED and row["ratio"] is not None}  # fmt: skip
