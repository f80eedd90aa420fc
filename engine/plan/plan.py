"""What a study asks for: the digest of every item, and what it takes to compute it. Pure; touches no store."""

import itertools
from collections.abc import Iterator
from functools import cached_property

from engine import lineage, plugins
from engine.inference.pools import KINDS
from engine.inference.teststats import has_law
from engine.inference.toys import BLOCK
from engine.plan import asked, sought, variations
from engine.plan.event_plan import VERSIONS, EventPlan, Shard
from engine.plan.points import Cell, InOrder, Point, Wanted
from engine.plan.sought import Sought

HYPOTHESES = ("null", "background")

class Plan(EventPlan):
    """The items of a study, each under the digest of everything that makes it."""

    @cached_property
    def wanted(self) -> list[Wanted]:
        """Every (R, statistic) of the study; R is None where the statistic looks at no score."""
        toys, scores = self.study.toys, self.study.score.R
        needs_score = {name: "score" in toys.statistic(name)[0].NEEDS for name in toys.statistics}
        with_score = [(R, name) for R in scores for name in toys.statistics if needs_score[name]]
        return with_score + [(None, name) for name in toys.statistics if not needs_score[name]]

    @cached_property
    def by_toys(self) -> list[Wanted]:
        """Those that toys serve."""
        return [(R, name) for R, name in self.wanted if self.study.toys.statistic(name)[0].ADDITIVE]

    @cached_property
    def exactly(self) -> list[Wanted]:
        """Those whose law is known."""
        rates = self.study.backgrounds.rates
        return [(R, name) for R, name in self.wanted if has_law(self.study.toys.statistic(name)[0], rates)]

    def n_toys(self, hypothesis: str) -> int:
        """Background toys that a hypothesis needs: for g0, or one under each signal toy."""
        return self.study.toys.null if hypothesis == "null" else self.study.toys.signal

    def n_blocks(self, hypothesis: str) -> int:
        """Blocks of background toys that a hypothesis needs."""
        return -(-self.n_toys(hypothesis) // BLOCK)

    @cached_property
    def _components(self) -> list[tuple]:
        backgrounds = self.study.backgrounds
        return [self._spectrum(backgrounds.spectrum_name(c), *backgrounds.spectrum(c)) for c in backgrounds.components]

    @cached_property
    def signal(self) -> tuple:
        """The signal's spectrum with its options, as a digest takes it."""
        return self._spectrum(self.study.signal.name, *self.study.signal.spectrum())

    @cached_property
    def scored_pool(self) -> str:
        """Digest of the pool with all its terms."""
        return self.scored_digest(self.shards["pool"])

    def scored_digest(self, shards: list[Shard]) -> str:
        """Digest of a pool of these shards with all their terms."""
        return lineage.digest("scored_pool", 1, None, self.score_items(shards))

    def null_item(self, exposure_ty: float, hypothesis: str, block: int, R: float | None, statistic: str) -> str:
        """Item of one block of background toys of one statistic."""
        fields = {"hypothesis": hypothesis, "block": block, "law": self.law(exposure_ty, R, statistic)}
        return lineage.digest("nulls", VERSIONS["nulls"], fields, [self.scored_pool])

    def law(self, exposure_ty: float | None, R: float | None, statistic: str) -> dict:
        """What a statistic's values under background follow from, beside the pool."""
        study = self.study
        module, options = study.toys.statistic(statistic)
        name = plugins.identity("engine.inference.teststats", study.toys.statistic_name(statistic))
        return {
            "seed": study.seed, "exposure_ty": exposure_ty, "R": R, "statistic": name, "options": options,
            "beta": self.beta if "score" in module.NEEDS else None,
            "density": study.score.model_dump(exclude={"R"}) if "density" in module.NEEDS else None,
            "rates": study.backgrounds.rates, "components": self._components,
        }  # fmt: skip

    def null_items(self, exposure_ty: float, hypothesis: str, R: float | None, statistic: str) -> list[str]:
        """Items of all blocks of background toys of one statistic."""
        blocks = range(self.n_blocks(hypothesis))
        return [self.null_item(exposure_ty, hypothesis, block, R, statistic) for block in blocks]

    @property
    def beta(self) -> float:
        """Weight of the KL term in the score: the one that the VAE was trained with."""
        return float(self.study.models.vae.config["beta"])

    @cached_property
    def points(self) -> list[Point]:
        """The grid's points, and at every exposure the benchmark's; the grid's name wins where they meet."""
        grid, at, size = self.study.grid, self.study.at, self.study.signal.axes[-1]
        masses = grid.m_chi_GeV.points() if grid.m_chi_GeV else (None,)
        places = dict.fromkeys(itertools.product(masses, getattr(grid, size).points()), "grid")
        places.setdefault((at.get("m_chi_GeV"), at[size]), "benchmark")
        places = sorted(places.items())
        return [Point(exposure, *place, origin) for exposure in sorted({*grid.exposure_ty.points()})
                for place, origin in places]  # fmt: skip

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """Everything that toys say of a point: item -> (point, R, statistic)."""
        inputs = {}
        for exposure in self.study.grid.exposure_ty.points():
            for R, statistic in self.by_toys:
                items = [self.null_items(exposure, hypothesis, R, statistic) for hypothesis in HYPOTHESES]
                inputs[exposure, R, statistic] = lineage.digest("toys", 1, None, items)
        return {
            self._cell_item(point, R, name, inputs[point.exposure_ty, R, name]): (point, R, name)
            for point in self.points
            for R, name in self.by_toys
        }

    def _cell_item(self, point: Point, R: float | None, statistic: str, toys: str) -> str:
        numbers = self.study.toys
        fields = [self._place(point, R, statistic), numbers.null, numbers.signal, numbers.tail == "kde"]
        return lineage.digest("cells", VERSIONS["cells"], fields, [toys])

    def _place(self, point: Point, R: float | None, statistic: str) -> dict:
        """What makes a row beside the toys: its point, its signal, and the words that describe it."""
        study = self.study
        return {
            "m_chi_GeV": point.m_chi_GeV, study.signal.axes[-1]: point.size, "exposure_ty": point.exposure_ty,
            "R": R, "statistic": statistic, "signal": self.signal, "density": study.score.model_dump(exclude={"R"}),
            "window": [self.window(kind) for kind in KINDS],
            "words": [study.detector.name, study.views, study.tuned_on, study.models.vae.name,
                      study.models.classifier.name],
        }  # fmt: skip

    @cached_property
    def exact(self) -> dict[str, Cell]:
        """Everything that the exact engine says of a point: item -> (point, R, statistic)."""
        found, toys = {}, InOrder(self.cells)
        for point in self.points:
            for R, name in self.wanted:
                place = point, R, name
                cell = toys.take(place)
                if (R, name) in self.exactly and (cell is None or self._is_exact(point)):
                    found[self._exact_item(*place, cell)] = place
        return found

    def _is_exact(self, point: Point) -> bool:
        toys = self.study.toys
        everywhere = toys.exact == "all" or toys.tail == "exact"
        return everywhere or (toys.exact == "benchmark" and self.at_benchmark(point))

    def at_benchmark(self, point: Point) -> bool:
        """Whether a point is the benchmark's, at whatever exposure."""
        at = self.study.at
        return (point.m_chi_GeV, point.size) == (at.get("m_chi_GeV"), at[self.study.signal.axes[-1]])

    def _exact_item(self, point: Point, R: float | None, statistic: str, cell: str | None) -> str:
        fields = [self._place(point, R, statistic), self.law(point.exposure_ty, R, statistic)]
        return lineage.digest("exact", VERSIONS["exact"], fields, [self.scored_pool, cell or ""])

    def rows(self) -> Iterator[tuple[Cell, tuple[str | None, str | None]]]:
        """Every row of the table: (point, R, statistic), and items of its toys and of its exact law, where there are.

        Made anew each time: there may be very many of them.
        """
        toys, exact = InOrder(self.cells), InOrder(self.exact)
        for point in self.points:
            for pair in self.wanted:
                items = toys.take((point, *pair)), exact.take((point, *pair))
                if any(items):
                    yield (point, *pair), items

    @cached_property
    def table(self) -> str:
        """Item of the study's table."""
        origins, of_seeds = [point.origin for point in self.points], [list(sibling.exact) for sibling in self.siblings]
        inputs = itertools.chain((items for _, items in self.rows()), of_seeds)
        return lineage.digest("table", VERSIONS["table"], [origins, self.study.toys.tail], inputs)

    @cached_property
    def siblings(self) -> list["Sibling"]:
        """The same pair fitted with further seeds, whose spread is an error of this one."""
        return [Sibling(self.study.reseeded(more)) for more in range(1, self.study.training.n_seeds)]

    @cached_property
    def reach(self) -> dict[str, Sought]:
        """Every exposure that is sought by laws: item -> (R, statistic, m_chi_GeV, size)."""
        return sought.by_law(self)

    @cached_property
    def reach_by_toys(self) -> dict[str, Sought]:
        """The same of those that only toys serve."""
        return sought.by_toys(self)

    def reach_item(self, stage: str, pair: Wanted, m_chi_GeV: float | None, size: float, numbers: dict) -> str:
        """Item of one exposure that is sought; `numbers`: what it follows from beside the statistic and its place."""
        fields = [numbers, self._place(Point(None, m_chi_GeV, size, "reach"), *pair), self.law(None, *pair)]
        return lineage.digest(stage, VERSIONS[stage], fields, [self.scored_pool])

    @property
    def reach_table(self) -> str:
        """Item of the table of all exposures sought."""
        inputs = [*self.reach, *self.reach_by_toys, *(item for sibling in self.siblings for item in sibling.reach)]
        return lineage.digest("reach_table", VERSIONS["reach_table"], None, inputs)

    @cached_property
    def limits(self) -> dict[str, tuple[float, float]]:
        """Every limit: item -> (exposure_ty, m_chi_GeV)."""
        study = self.study
        grid = study.grid.m_chi_GeV.points() if study.grid.m_chi_GeV else ()
        masses = study.limits.masses(study.signal.axes, grid, study.at.get("m_chi_GeV"))
        places = itertools.product(study.grid.exposure_ty.points(), masses)
        return {self.limit_item(*place): place for place in places}

    def limit_item(self, exposure_ty: float, m_chi_GeV: float) -> str:
        """Item of one limit: it follows from the pool's events, and from no model or score."""
        study, limits = self.study, self.study.limits
        fields = {
            "exposure_ty": exposure_ty, "m_chi_GeV": m_chi_GeV, "signal": self.signal, "power": limits.power,
            "toys": limits.check_toys if m_chi_GeV in limits.check_m_chi_GeV else None, "seed": study.seed,
            "rates": study.backgrounds.rates, "components": self._components,
            "window": [self.window(kind) for kind in KINDS], "words": study.detector.name,
        }  # fmt: skip
        return lineage.digest("limits", VERSIONS["limits"], fields, [shard.item for shard in self.shards["pool"]])

    @property
    def limit_table(self) -> str:
        """Item of the table of all limits."""
        return lineage.digest("limit_table", VERSIONS["limits"], None, list(self.limits))

    @cached_property
    def systematics(self) -> dict[str, variations.Row]:
        """Every row of the systematics: item -> (variation, exposure_ty, R, statistic)."""
        return variations.rows(self)

    @cached_property
    def diagnostics(self) -> dict[str, str]:
        """Every item of the diagnostics by what it holds."""
        return asked.items(self)

    @property
    def diagnostic_table(self) -> str:
        """Item of the table of all classifiers."""
        return asked.table(self)

    @cached_property
    def items(self) -> dict[str, list[str]]:
        """All items of the study by stage, in the order of the work."""
        train, test, pool = ([shard.item for shard in self.shards[name]] for name in ("train", "test", "pool"))
        nulls = [
            item
            for exposure in self.study.grid.exposure_ty.points()
            for hypothesis in HYPOTHESES
            for R, statistic in self.by_toys
            for item in self.null_items(exposure, hypothesis, R, statistic)
        ]
        varied, systematics = self.varied_shards, list(self.systematics)
        scored = [self.score_items(shards) for shards in (self.shards["test"], self.shards["pool"], varied)]
        return {
            "events": train, "models": list(self.models.values()),
            "scores": test + scored[0] + pool + scored[1] + [shard.item for shard in varied] + scored[2],
            "nulls": nulls, "cells": list(self.cells), "exact": list(self.exact),
            "reach": [*self.reach, *self.reach_by_toys],
            "reach_tables": [self.reach_table] if self.reach else [],
            "limits": list(self.limits), "limit_tables": [self.limit_table] if self.limits else [],
            **({"systematics": systematics} if systematics else {}),
            "diagnostics": list(self.diagnostics.values()), "diagnostic_tables": [self.diagnostic_table],
            "tables": [self.table],
        }  # fmt: skip


class Sibling(Plan):
    """A pair of networks with another training seed: laws at the benchmark and exposures sought, and no toys."""

    @property
    def by_toys(self) -> list[Wanted]:
        """None."""
        return []

    @cached_property
    def points(self) -> list[Point]:
        """The benchmark's."""
        return [point for point in Plan(self.study).points if self.at_benchmark(point)]

    @property
    def limits(self) -> dict[str, tuple[float, float]]:
        """None: they look at no score."""
        return {}

    @cached_property
    def items(self) -> dict[str, list[str]]:
        """Laws and searches; its events, models and scores are those of the whole pass, and it has no table."""
        return {"exact": list(self.exact), "reach": list(self.reach)}
