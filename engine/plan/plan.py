"""What a study asks for: the digest of every item, and what it takes to compute it. Pure; touches no store."""

import itertools
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from engine import lineage, plugins
from engine.inference.leakage import LAWS
from engine.inference.pools import KINDS
from engine.inference.teststats import has_law, has_toys
from engine.inference.toys import BLOCK
from engine.plan.event_plan import VERSIONS, EventPlan, Shard
from engine.plan.points import Cell, InOrder, Point, Wanted
from engine.study import Leakage, SignalPoint

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
        return [(R, name) for R, name in self.wanted if has_toys(self.study.toys.statistic(name)[0])]

    @cached_property
    def combined(self) -> list[Wanted]:
        """Those whose smallest p is asked for; none without the section."""
        section, toys = self.study.combined, self.study.toys
        return [(R, name) for R, name in self.wanted if section.takes(R, name, toys)] if section else []

    @cached_property
    def exactly(self) -> list[Wanted]:
        """Those whose law is known."""
        rates = self.study.backgrounds.rates
        return [(R, name) for R, name in self.wanted if has_law(self.study.toys.statistic(name)[0], rates)]

    @property
    def n_laws(self) -> int:
        """How many laws a null takes: one, or those of an average over the leakage."""
        return 1 if self.study.backgrounds.leakage == Leakage() else LAWS

    def n_toys(self, hypothesis: str) -> int:
        """Background toys that a hypothesis needs: for g0, or one under each signal toy."""
        return self.study.toys.null if hypothesis == "null" else self.study.toys.signal

    def n_blocks(self, hypothesis: str) -> int:
        """Blocks of background toys that a hypothesis needs."""
        return -(-self.n_toys(hypothesis) // BLOCK)

    @cached_property
    def components(self) -> list[tuple]:
        """The backgrounds' spectra with options and how well each rate is known, as a digest takes them."""
        backgrounds = self.study.backgrounds
        spectra = {c: self._spectrum(backgrounds.spectrum_name(c), *backgrounds.spectrum(c))
                   for c in backgrounds.components}  # fmt: skip
        factors = {c: () if (factor := backgrounds.rate_factor(c)) == 1 else (factor,) for c in spectra}
        return [(*spectrum, backgrounds.relative_uncertainty(c), *factors[c]) for c, spectrum in spectra.items()]

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
        law = {name: value for name, value in self.law(exposure_ty, R, statistic).items() if name != "version"}
        fields = {"hypothesis": hypothesis, "block": block, "law": law}  # toys are drawn, whatever computes their law
        return lineage.digest("nulls", VERSIONS["nulls"], fields, [self.scored_pool])

    def law(self, exposure_ty: float | None, R: float | None, statistic: str) -> dict:
        """What a statistic's values under background follow from, beside the pool."""
        study = self.study
        module, options = study.toys.statistic(statistic)
        name = plugins.identity("engine.inference.teststats", study.toys.statistic_name(statistic))
        version = getattr(module, "LAW_VERSION", None)
        return ({} if version is None else {"version": version}) | {
            "seed": study.seed, "exposure_ty": exposure_ty, "R": R, "statistic": name, "options": options,
            "score": self.score if "score" in module.NEEDS else None,
            "density": study.score.density if "density" in module.NEEDS else None,
            "rates": study.backgrounds.rates, "components": self.components,
        } | ({} if study.backgrounds.leakage == Leakage() else {"leakage": study.backgrounds.leakage})  # fmt: skip

    def null_items(self, exposure_ty: float, hypothesis: str, R: float | None, statistic: str) -> list[str]:
        """Items of all blocks of background toys of one statistic."""
        blocks = range(self.n_blocks(hypothesis))
        return [self.null_item(exposure_ty, hypothesis, block, R, statistic) for block in blocks]

    @cached_property
    def score(self) -> dict:
        """What TS follows from beside R and the terms of the models, as a digest takes it."""
        return {
            "score": plugins.identity("engine.inference.scores", self.study.score.name),
            "parameters": self.score_parameters,
        }  # fmt: skip

    @cached_property
    def score_parameters(self) -> dict:
        """The numbers of the score."""
        score, configs = self.study.score, {role: model.config for role, model in self.fitted.items()}
        return score.module.parameters(configs, score.configured)

    def ts(self, terms: dict[str, dict[str, np.ndarray]], R: float) -> np.ndarray:
        """(n,) anomaly scores of events with these terms, by role and name, each (n,)."""
        return self.study.score.module.ts(terms, R, self.score_parameters)

    @cached_property
    def points(self) -> list[Point]:
        """The grid's points, and at every exposure the benchmark's; the grid's name wins where they meet."""
        grid, benchmark = self.study.grid, self.study.benchmark_signal
        places = dict.fromkeys(itertools.product(grid.masses, grid.size.points()), "grid")
        places.setdefault((benchmark.m_chi_GeV, benchmark.value), "benchmark")
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
        fields = [self.place(point), numbers.null, numbers.signal, numbers.tail == "kde"]
        return lineage.digest("cells", VERSIONS["cells"], fields, [toys])

    def place(self, point: Point) -> dict:
        """What makes a row beside its statistic and score: where it is, the signal, and f0, whose floor it tells."""
        at = {"m_chi_GeV": point.m_chi_GeV, "size": point.size, "exposure_ty": point.exposure_ty}
        return at | {"signal": self.signal, "density": self.study.score.density}

    @cached_property
    def exact(self) -> dict[str, Cell]:
        """Everything that the exact engine says of a point: item -> (point, R, statistic)."""
        laws, toys = {}, InOrder(self.cells)
        for point in self.points:
            for R, name in self.wanted:
                place = point, R, name
                cell = toys.take(place)
                if (R, name) in self.exactly and (cell is None or self._is_exact(point)):
                    laws[self._exact_item(*place, cell)] = place
        return laws

    def _is_exact(self, point: Point) -> bool:
        toys = self.study.toys
        everywhere = toys.exact == "all" or toys.tail == "exact"
        return everywhere or (toys.exact == "benchmark" and self.at_benchmark(point))

    def at_benchmark(self, point: Point) -> bool:
        """Whether a point is the benchmark's, at whatever exposure."""
        benchmark = self.study.benchmark_signal
        return (point.m_chi_GeV, point.size) == (benchmark.m_chi_GeV, benchmark.value)

    def _exact_item(self, point: Point, R: float | None, statistic: str, cell: str | None) -> str:
        fields = [self.place(point), self.law(point.exposure_ty, R, statistic)]
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
        """Item of the study's table, which joins the words of the study to its rows."""
        origins, of_seeds = [point.origin for point in self.points], [list(sibling.exact) for sibling in self.siblings]
        inputs = itertools.chain((items for _, items in self.rows()), of_seeds)
        fields = [origins, self.study.toys.tail, self.words_of_rows]
        return lineage.digest("table", VERSIONS["table"], fields, inputs)

    @cached_property
    def words_of_rows(self) -> list:
        """What rows say of the study and no number follows from: names of choices, and what they were chosen on."""
        study = self.study
        return [study.detector.name, study.views, study.tuned_on, study.signal.name, study.pair, study.toys.statistics,
                [self.selection(kind) for kind in KINDS], study.score.name, self.score_parameters]  # fmt: skip

    @cached_property
    def siblings(self) -> list["Sibling"]:
        """Plans of this study's models fitted with other seeds, whose spread is an error of this one."""
        return [Sibling(study) for study in self.study.refitted]

    @property
    def is_one_of_siblings(self) -> bool:
        """Whether this plan's fits are as its siblings' are; an ensemble is no member of itself."""
        return self.study.training.seed_error == "fits"

    @property
    def exposures(self) -> list[float]:
        """Of the points, ascending."""
        return sorted({point.exposure_ty for point in self.points})

    @cached_property
    def nulls(self) -> list[str]:
        """Items of all blocks of background toys."""
        return [
            item
            for exposure_ty in self.exposures
            for hypothesis in HYPOTHESES
            for R, statistic in self.by_toys
            for item in self.null_items(exposure_ty, hypothesis, R, statistic)
        ]

    def signal_at(self, point: Point) -> SignalPoint:
        """The signal at a point."""
        return self.study.signal.at(point.m_chi_GeV, point.size)

    def words(self, point: Point) -> str:
        """A point as a user calls it."""
        at_exposure = "" if point.exposure_ty is None else f", exposure_ty = {point.exposure_ty:g}"
        return self.signal_at(point).words + at_exposure


class Sibling(Plan):
    """A pair of networks with another training seed: laws at the benchmark and exposures sought; toys under background
    of what is combined, and no cells.

    Its events, models and scores are those of the whole pass, and it has no table.
    """

    stages = ("nulls", "exact", "reach")
    tabled = False

    @property
    def by_toys(self) -> list[Wanted]:
        """What is combined and looks at a score: another fit changes nothing else."""
        return [(R, name) for R, name in self.combined if R is not None]

    @property
    def cells(self) -> dict[str, Cell]:
        """None."""
        return {}

    @cached_property
    def points(self) -> list[Point]:
        """The benchmark's."""
        return [point for point in Plan(self.study).points if self.at_benchmark(point)]
