"""The baseline of the papers: -2 ln L of (cS1, cS2) under background only, its rates profiled.

(Semi-supervised search in DARWIN, Eqs. 8-10 at sigma = 0, nuisances of Table 3.) It looks at no score, and what it says
depends on the unit of (cS1, cS2), as every -2 ln L without a ratio does; `conditional = true` is its twin that
looks at the events given their number, where a constant factor in the unit drops out.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from engine import options
from engine.inference import profile, template_likelihood, templates
from engine.inference.hypothesis import Law, Null, Scored

ADDITIVE = True
EXACT = False
AFFINE_INVARIANT = False
MONOTONE_INVARIANT = False
MODEL_DEPENDENT = False
NEEDS = ()


class Options(options.Options):
    """unit of (cS1, cS2); profiled: rates fitted under their constraints, else nominal; ln_n_factorial: in L or not."""

    unit: Literal[templates.UNITS] = "pe_pe"
    profiled: bool = True
    ln_n_factorial: bool = True
    conditional: bool = False


@dataclass(frozen=True)
class TemplateLikelihood:
    """q = -2 ln L(sigma = 0), or the sum of -ln f against what N background events give."""

    null: Null
    options: Options

    @cached_property
    def _groups(self) -> profile.Groups:
        return profile.nuisances(self.null.reference.names, self.null.reference.relative_sd)

    @cached_property
    def _templates(self) -> tuple[templates.Template, ...]:
        law = self.null.reference
        seen = _visible(law.events)
        return templates.estimate(law.events.cs1_pe[seen], law.events.cs2_pe[seen], law.weights[:, seen])

    @property
    def sees_deficit(self) -> bool:
        """As Eq. 6 does, but where N is given."""
        return not self.options.conditional

    def rows(self, events: Scored) -> np.ndarray:
        """(n, groups) b_g f_g at each event; one without S1 or S2 is put at 1 PE, on every template's floor."""
        cs1, cs2 = np.maximum(events.cs1_pe, 1.0), np.maximum(events.cs2_pe, 1.0)
        density = templates.densities(self._templates, cs1, cs2, self.options.unit)
        return self._groups.sum(density * self.null.reference.weights.sum(axis=1))

    @cached_property
    def _prepared(self) -> template_likelihood.TemplateNull:
        law = self._of_templates(self.null.drawn)
        grouped = self._groups.sum(law.weights.T).T
        expected = self._groups.sum(self.null.reference.weights.sum(axis=1))
        return template_likelihood.null(self.rows(law.events), grouped, expected, self._groups.relative_sd)

    def _of_templates(self, law: Law) -> Law:
        """The law of the components that have a template, in the templates' order."""
        names = self.null.reference.names
        weights = [law.weights[law.names.index(n)] if n in law.names else np.zeros(len(law.events)) for n in names]
        return Law(names, law.events, np.array(weights), self.null.reference.relative_sd)

    def columns(self, events: Scored) -> np.ndarray:
        """(n, 1 + strata * groups): ln sum_g b_g f_g, and the groups' shares by stratum."""
        return template_likelihood.per_event(self.rows(events), self._prepared)

    def q(self, n_events: np.ndarray, totals: np.ndarray) -> np.ndarray:
        """q of each toy."""
        if self.options.conditional:
            return template_likelihood.conditional(n_events, totals, self._prepared)
        terms = {"profiled": self.options.profiled, "ln_n_factorial": self.options.ln_n_factorial}
        return template_likelihood.statistic(n_events, totals, self._prepared, **terms)


def _visible(events: Scored) -> np.ndarray:
    return (events.cs1_pe > 0) & (events.cs2_pe > 0)


def prepare(null: Null, options: Options) -> TemplateLikelihood:
    """Templates from the half of the pool that toys do not draw from."""
    return TemplateLikelihood(null, options)
