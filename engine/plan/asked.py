"""What is diagnosed: the item of every part and the populations of events. Pure; touches no store."""

from dataclasses import asdict

import zoo
from engine import lineage, plugins
from engine.inference.pools import KINDS
from engine.plan.event_plan import VERSIONS, EventPlan, Shard

CLASSIFIER, FLOOR = "classifier", "floor"  # what classifies
NETWORK = LATENT, POSTERIOR, EXAMPLES = "latent", "posterior_predictive", "examples"  # of the autoencoder
FLOOR_FAMILY, FLOOR_VIEW = "summary_classifier", "summary"


def items(plan: EventPlan) -> dict[str, str]:
    """Item by what it holds."""
    network = {what: _item(plan, what, *_network(plan)) for what in NETWORK}
    return {what: _item(plan, what, *_classified(plan, what)) for what in (CLASSIFIER, FLOOR)} | network


def table(plan: EventPlan) -> str:
    """Item of the table of all classifiers."""
    made = items(plan)
    return lineage.digest("diagnostic_table", VERSIONS["diagnostics"], None, [made[CLASSIFIER], made[FLOOR]])


def populations(plan: EventPlan) -> dict[str, list[Shard]]:
    """The papers' test events, uniform in true energy; and the pool's recoils, which are in the study's window.

    The second may be the first within the window, but a leakage of 1e-3 asks for more electron recoils than the one
    in ten of the test events that pass.
    """
    low, high = plan.study.events.energy_keV
    first, last = plan.study.backgrounds.er_window_keVee
    return {
        f"uniform_{low:g}_{high:g}_keV": plan.shards["test"],
        f"window_{first:g}_{last:g}_keVee": [shard for shard in plan.shards["pool"] if shard.kind in KINDS],
    }


def sampled(plan: EventPlan) -> list[Shard]:
    """The test events that are shown to the autoencoder once more: a shard of each kind."""
    return [shard for shard in plan.shards["test"] if shard.number == 0]


def training(plan: EventPlan) -> list[Shard]:
    """The events that the floor is fitted to: the classifier's own."""
    return plan.training(plan.study.models.classifier)


def floor_config() -> dict:
    """The floor's configuration: its defaults, whatever the study."""
    return asdict(zoo.configure(plugins.load("zoo", FLOOR_FAMILY), {}))


def _item(plan: EventPlan, what: str, fields: dict, inputs: list[str]) -> str:
    return lineage.digest("diagnostics", VERSIONS["diagnostics"], fields | {"what": what}, inputs)


def _classified(plan: EventPlan, what: str) -> tuple[dict, list[str]]:
    shards = [shard for found in populations(plan).values() for shard in found]
    fields = {"populations": list(populations(plan))}
    if what == CLASSIFIER:
        scored = [plan.score_item(shard, "classifier") for shard in shards]
        return fields | {"model": plan.study.models.classifier.name}, scored
    fitted = {"family": plugins.identity("zoo", FLOOR_FAMILY), "config": floor_config(), "seed": plan.study.seed}
    return fields | fitted, [shard.item for shard in (*training(plan), *shards)]


def _network(plan: EventPlan) -> tuple[dict, list[str]]:
    view = plugins.identity("engine.physics.representations", plan.study.view(plan.study.models.vae))
    fields = {"representation": view, "seed": plan.study.seed}
    return fields, [plan.models["vae"], *(shard.item for shard in sampled(plan))]
