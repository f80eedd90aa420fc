"""How far finite pools and fits carry a scan's results: what to know before quoting a number."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.assembly import results
from engine.inference.jackknife import halves_disagree
from engine.lineage import row_label

MOST_EVENTS_PER_POOL_EVENT = 0.01  # above it, toys repeat pool events so often that the pool's accidents are in q
LARGEST_HALF_SHIFT = 0.3  # of sd(q): between the half that made f0 and the half that toys draw from
SMALLEST_SIGNAL_POOL = 400.0  # effective pool events behind the signal
FLOOR, LEAKAGE = "floor", "er_leakage_at_30_percent_nr"
LARGEST_TIE = 0.01  # share of a kind's events with one logit: no cut can part them, and units of the network died


def lines(table: pa.Table, at: dict[str, float]) -> list[str]:
    """One line per limit that the rows at the benchmark (`at`, by the names of its axes) exceed, worst value first."""
    rows = results.rows_at(table, at)
    return [line for check in (_pool, _halves, _tails, _signal, _pulls) for line in check(rows)]


def tied(diagnostics: pa.Table) -> list[str]:
    """One line per kind of which a classifier of the study gives too many events one logit, wherever it does most."""
    said = []
    for role in diagnostics["role"].unique().to_pylist():
        rows = diagnostics.filter(pc.equal(diagnostics["role"], role)).to_pylist()
        for kind in ("er", "nr"):
            worst = max(rows, key=lambda row: row[f"{kind}_with_one_logit"] or 0.0)
            if (share := worst[f"{kind}_with_one_logit"] or 0.0) > LARGEST_TIE:
                said.append(f"{role} {worst['model']} gives {share:.0%} of {kind.upper()} one logit, "
                            f"{worst['population']} (trust below {LARGEST_TIE:.0%})")  # fmt: skip
    return said


def over_floor(diagnostics: pa.Table) -> dict[str, str]:
    """By role how many times the floor's ER leakage at 30 % NR a classifier has, on the events that a search sees.

    Where no electron recoil passes the floor's cut, in terms of the upper end of its error.
    """
    last = {row["role"]: row for row in diagnostics.to_pylist()}  # a role's last rows are of the window
    floor = last.pop(FLOOR, None) or {LEAKAGE: None}
    if floor[LEAKAGE] is None:
        return {}
    unit, more = (floor[LEAKAGE], "") if floor[LEAKAGE] else (floor[f"{LEAKAGE}_high"], "over ")
    ratios = {role: row[LEAKAGE] / unit for role, row in last.items() if row[LEAKAGE] is not None}
    return {role: f"{more}{float(f'{ratio:.2g}'):g}" for role, ratio in ratios.items() if ratio > 1 or not more}


def above_floor(diagnostics: pa.Table) -> list[str]:
    """One line per classifier that leaks more than the floor does, beyond the errors of both."""
    last = {row["role"]: row for row in diagnostics.to_pylist()}
    return [f"{role} {last[role]['model']} lets {times} times the floor's electron recoils through at 30 % NR: "
            "cS1, cS2 and drift time alone tell them apart better"
            for role, times in over_floor(diagnostics).items()
            if last[role][f"{LEAKAGE}_low"] > last[FLOOR][f"{LEAKAGE}_high"]]  # fmt: skip


def _pool(rows: list[dict]) -> list[str]:
    over = [row for row in rows if row["events_per_pool_event"] > MOST_EVENTS_PER_POOL_EVENT]
    if not over:
        return []
    worst = max(over, key=lambda row: row["events_per_pool_event"])
    return [f"{worst['events_per_pool_event']:.2g} expected events per pool event at {worst['exposure_ty']:g} t y "
            f"(trust below {MOST_EVENTS_PER_POOL_EVENT:g}; a row is 'pool limited' only where its own threshold has "
            "too few behind it): raise pool.er_events"]  # fmt: skip


def _halves(rows: list[dict]) -> list[str]:
    over = [row for row in rows if abs(row["half_shift"] or 0.0) > LARGEST_HALF_SHIFT]
    if not over:
        return []
    worst = max(over, key=lambda row: abs(row["half_shift"]))
    where = f"{row_label(worst['statistic'], worst['R'])} at {worst['exposure_ty']:g} t y"
    return [f"the halves of the pool differ: the mean q of {where} by "
            f"{worst['half_shift']:.2g} of its sd ({len(over)} rows above {LARGEST_HALF_SHIFT:g})"]  # fmt: skip


def _tails(rows: list[dict]) -> list[str]:
    names, apart = set(), set()
    for row in rows:
        if row["pool_limited"]:
            disagree = halves_disagree(row["half_z_shift"] or 0.0, row["z_pool_error"] or np.inf)
            (apart if disagree else names).add(row_label(row["statistic"], row["R"]))
    said = (("too few simulated events decide", names), ("the halves of the pool disagree beyond the error of", apart))
    return [f"{why} {', '.join(sorted(who))} (pool_limited): quote no Z of it before pool.er_events is raised"
            for why, who in said if who]  # fmt: skip


def _signal(rows: list[dict]) -> list[str]:
    over = [row for row in rows if row["n_signal"] > 0 and row["signal_pool_size"] < SMALLEST_SIGNAL_POOL]
    return [f"only {over[0]['signal_pool_size']:.0f} effective pool events behind the signal"] if over else []


def _pulls(rows: list[dict]) -> list[str]:
    over = [row for row in rows if max(abs(row["pull"] or 0.0), abs(row["pull_median"] or 0.0)) > 4]
    return [f"toys and exact law disagree by {row['pull'] or 0:.1f} and {row['pull_median'] or 0:.1f} sigma: "
            f"{row_label(row['statistic'], row['R'])} at {row['exposure_ty']:g} t y" for row in over]  # fmt: skip
