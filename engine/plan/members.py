"""Several pairs of networks, or several fits of one, as one pass over the same events: a plan of them all."""

from functools import cached_property

from engine import lineage
from engine.plan.event_plan import VERSIONS, EventPlan
from engine.plan.plan import Plan
from engine.study import Model, Study
from engine.study.compare import Ranking


class JointPlan(EventPlan):
    """What all members of a study ask for together; every model under its own item, once.

    Members share their events by lineage, so that each shard is simulated once and scored by every model.
    """

    @cached_property
    def members(self) -> dict[str, Plan]:
        """Plan of each pair by the pair's name; a study without a comparison has one."""
        return {name: Plan(study) for name, study in self.study.members.items()}

    @cached_property
    def parts(self) -> list[Plan]:
        """Plan of each pair, and of its further seeds."""
        return [one for plan in self.members.values() for one in (plan, *plan.siblings)]

    @cached_property
    def fitted(self) -> dict[str, Model]:
        """Every model by its item."""
        return {plan.models[role]: model for plan in self.parts for role, model in plan.fitted.items()}

    @cached_property
    def paired(self) -> dict[str, str]:
        """Item of each pair's toys with signal, by the pair's name; none without a comparison."""
        return {name: paired_item(plan, self.study.ranking) for name, plan in self.members.items()
                if self.study.compare}  # fmt: skip

    @property
    def comparison(self) -> str:
        """Item of everything that is compared."""
        tables = [plan.table for plan in self.members.values()]
        return lineage.digest("comparison", 1, vars(self.study.ranking), [list(self.members), tables, self.paired])

    @property
    def folder(self) -> str:
        """Where tables and figure of a comparison are in a store."""
        return f"comparisons/{self.comparison}"


def paired_item(plan: Plan, by: Ranking) -> str:
    """Item of the p of every toy with signal at the benchmark, by the statistic that pairs are ranked by."""
    law = plan.law(by.exposure_ty, by.R, by.statistic)
    fields = {"law": law, "benchmark": [plan.signal, plan.study.at], "toys": plan.n_toys("signal")}
    return lineage.digest("paired", VERSIONS["paired"], fields, [plan.scored_pool])


def plan_of(study: Study) -> Plan | JointPlan:
    """The plan of everything that a study asks for."""
    plan = None if study.compare else Plan(study)
    return JointPlan(study) if plan is None or plan.siblings else plan
