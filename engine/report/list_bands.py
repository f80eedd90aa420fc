"""A list of events beside the bands of its study: what is drawn, and medians and widths of electron recoils by cS1.

Unless it is unblinded, events of the signal region are neither drawn nor counted, and simulated ones there are left out
of the medians and widths as well.
"""

import csv
import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from engine import lineage
from engine.assembly.population import unscored
from engine.inference import observed
from engine.inference.density import weighted_quantiles
from engine.physics.event_list import EventList
from engine.physics.events import mean_charge
from engine.plan.plan import Plan
from engine.report.markdown import table
from engine.study import Study

EVENTS_PER_BIN, BINS = 60, (3, 12)  # of the list in a bin of cS1; fewest and most bins
FEWEST = 8  # events of the list that have a median and a width
PERCENT = (15.865, 50.0, 84.135)  # of which a width is half the outer distance: sigma of a Gaussian
RESAMPLED = 200  # bootstrap, for the errors

Areas = tuple[np.ndarray, np.ndarray, np.ndarray]  # cS1 and cS2 in the unit of `Beside`, weights: (n,) each


@dataclass(frozen=True)
class Beside:
    """Events of a list, weight 1, and those simulated of each kind: electron recoils weighted to the study's
    backgrounds, nuclear ones uniform in energy. in_table: which of the electron recoils medians are taken of."""

    study: Study
    unit: str
    events: Areas
    bands: dict[str, Areas]
    in_table: np.ndarray
    blind: bool

    @property
    def edges(self) -> np.ndarray:
        """Of bins in cS1, of as many simulated electron recoils each."""
        n = int(np.clip(len(self.events[0]) // EVENTS_PER_BIN, *BINS))
        cs1, _, weights = (values[self.in_table] for values in self.bands["ER"])
        inner = weighted_quantiles(cs1, weights, tuple(np.arange(1, n) / n))
        return np.concatenate([[cs1.min()], inner, [np.nextafter(cs1.max(), np.inf)]])

    @cached_property
    def rows(self) -> list[dict[str, float]]:
        """`rows_between` the edges."""
        return self.rows_between(self.edges)

    def rows_between(self, edges: np.ndarray) -> list[dict[str, float]]:
        """Per bin of cS1 the events of the list, and of list and simulation median and half-width of log10 cS2, each
        with its bootstrap error; NaN where the list has fewer than FEWEST events."""
        rng = lineage.stream("bands beside a list", self.study.seed)
        simulated = tuple(values[self.in_table] for values in self.bands["ER"])
        made = []
        for low, high in zip(edges, edges[1:], strict=False):
            row = {"cs1_low": float(low), "cs1_high": float(high)}
            for name, (cs1, cs2, weights) in {"list": self.events, "simulation": simulated}.items():
                mine = (cs1 >= low) & (cs1 < high)
                row |= {"n": int(mine.sum())} if name == "list" else {}
                found = _median_and_width(np.log10(cs2[mine]), weights[mine], rng)
                row |= {f"{what}_{name}": value for what, value in found.items()}
            made.append(row)
        return made


def beside(study: Study, seen: EventList, n_events: int, unblind: bool) -> Beside:
    """The selected events of a list beside `n_events` of each kind that are thrown here."""
    population = unscored(Plan(study), n_events)
    areas = [seen.columns[name] for name in ("cs1_pe", "cs2_pe")]
    inside, of_pool = observed.in_region(population, *areas)
    in_phd = any(name.endswith("_phd") for name in study.backgrounds.cuts)
    per = mean_charge(study.detector.constants) if in_phd else 1.0
    pool = population.pool
    weights = {"ER": population.weights.sum(axis=0), "NR": 1 / pool.proposal_per_keV}
    is_kind = {"ER": pool.of_kinds(population.er_kinds) & (weights["ER"] > 0), "NR": pool.of_kinds(("NR",))}
    bands = {kind: (pool.cs1_pe[mine] / per, pool.cs2_pe[mine] / per, weights[kind][mine])
             for kind, mine in is_kind.items()}  # fmt: skip
    shown = np.ones(len(seen), bool) if unblind else ~inside
    events = *(area[shown] / per for area in areas), np.ones(int(shown.sum()))
    in_table = np.ones(len(bands["ER"][0]), bool) if unblind else ~of_pool[is_kind["ER"]]
    return Beside(study, "phd" if in_phd else "PE", events, bands, in_table, not unblind)


def _median_and_width(values: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    if len(values) < FEWEST:
        return dict.fromkeys(("median", "median_error", "width", "width_error"), float("nan"))
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    at = tuple(percent / 100 for percent in PERCENT)
    low, middle, high = weighted_quantiles(values, weights, at)
    again = [weighted_quantiles(values, weights * rng.poisson(1.0, len(values)), at) for _ in range(RESAMPLED)]
    lows, middles, highs = np.array(again).T
    return {"median": float(middle), "median_error": float(middles.std()), "width": float(high - low) / 2,
            "width_error": float((highs - lows).std()) / 2}  # fmt: skip


def markdown(of: Beside) -> str:
    """The table, as a section of the report."""
    head = (f"cS1 [{of.unit}]", "events", "median of the list", "simulated", "list - simulated",
            "half-width of the list", "simulated", "simulated / list")  # fmt: skip
    body = []
    for row in of.rows:
        median, width = ([_measured(row[f"{what}_{name}"], row[f"{what}_error_{name}"]) for name in
                          ("list", "simulation")] for what in ("median", "width"))  # fmt: skip
        difference = row["median_list"] - row["median_simulation"]
        error = np.hypot(row["median_error_list"], row["median_error_simulation"])
        ratio = row["width_simulation"] / row["width_list"]
        relative = np.hypot(*(row[f"width_error_{name}"] / row[f"width_{name}"] for name in ("list", "simulation")))
        body.append((f"{row['cs1_low']:.3g} to {row['cs1_high']:.3g}", str(row["n"]), *median,
                     _measured(difference, error), *width, _measured(ratio, ratio * relative, 2)))  # fmt: skip
    return table(head, body)


def note(of: Beside) -> str:
    """What the table and the figure are of."""
    hidden = ("Events of the signal region are left out, of list and simulation alike, and are not drawn. "
              if of.blind else "")  # fmt: skip
    return (f"log10 of cS2 in {of.unit}; half-width: half the distance of the quantiles of 16 and 84 %. {hidden}"
            "Simulated: all electron-recoil backgrounds of the study in their proportions, captures of 124Xe with "
            f"their own yields. Errors: bootstrap, {RESAMPLED} times; no number is fitted to the list.")  # fmt: skip


def as_csv(of: Beside) -> bytes:
    """The rows as CSV."""
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(of.rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(of.rows)
    return sink.getvalue().encode()


def _measured(value: float, error: float, digits: int = 3) -> str:
    return f"{value:.{digits}f} ± {error:.{digits}f}" if np.isfinite(value) else "-"
