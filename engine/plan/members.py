"""Several pairs of networks, or several fits of one, as one pass over the same events: a plan of them all."""

from functools import cached_property

from engine import lineage
from engine.plan.event_plan import VERSIONS, EventPlan
from engine.plan.plan import Plan
from engine.study import Model, Study
from engine.study.compare import Yardstick


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
        return {plan.models[slot]: model for plan in self.parts for slot, model in plan.fitted.items()}

    @cached_property
    def paired(self) -> dict[str, str]:
        """Item of each pair's toys with signal, by the pair's name; none without a comparison."""
        return {name: paired_item(plan, self.study.yardstick) for name, plan in self.members.items()
                if self.study.compare}  # fmt: skip

    @property
    def comparison(self) -> str:
        """Item of everything that is compared."""
        tables = [[plan.table, plan.reach_table] for plan in self.members.values()]
        return lineage.digest("comparison", 1, vars(self.study.yardstick), [list(self.members), tables, self.paired])

    @property
    def folder(self) -> str:
        """Where tables and figure of a comparison are in a store."""
        return f"comparisons/{self.comparison}"

    @cached_property
    def items(self) -> dict[str, list[str]]:
        """All items of all members by stage, each once, in the order of the work."""
        scored = [shard for purpose in self.scored for shard in self.shards[purpose]] + self.varied_shards
        found = {
            "events": dict.fromkeys(shard.item for shard in self.shards["train"]),
            "models": dict.fromkeys(self.models.values()),
            "scores": dict.fromkeys([shard.item for shard in scored] + self.score_items(scored)),
        }
        for plan in self.parts:
            for stage, items in plan.items.items():
                found.setdefault(stage, {}).update(dict.fromkeys(items))
        tables = {"tables": found.pop("tables")}
        paired = {"paired": self.paired.values()} if self.paired else {}
        return {stage: list(items) for stage, items in (found | paired | tables).items()}


def paired_item(plan: Plan, by: Yardstick) -> str:
    """Item of the p of every toy with signal at the benchmark, by the statistic that pairs are ranked by."""
    law = plan.law(by.exposure_ty, by.R, by.statistic)
    fields = {"law": law, "benchmark": [plan.signal, plan.study.at], "toys": plan.n_toys("signal")}
    return lineage.digest("paired", VERSIONS["paired"], fields, [plan.scored_pool])


def plan_of(study: Study) -> Plan | JointPlan:
    """The plan of everything that a study asks for."""
    plan = None if study.compare else Plan(study)
    return JointPlan(study) if plan is None or plan.siblings else plan
