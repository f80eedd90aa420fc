"""What a battery seeks: every signal by every statistic on every score, and by oracles. Pure; touches no store."""

from dataclasses import dataclass

from engine import lineage, plugins
from engine.physics import spectra
from engine.plan.event_plan import Shard
from engine.plan.plan import Plan
from engine.study.battery import OF_PLANE, ORACLE, PLANE, BatteryScore
from engine.study.combined import is_fit

KNOWN_PLANE = "cs1_cs2"  # what the oracle looks at that knows no network: signal over background in two areas
SCORE_VERSION = 1


@dataclass(frozen=True)
class Target:
    """An exposure that is sought: of a signal, by a statistic on a score (None without one)."""

    signal: str
    score: str | None
    R: float | None
    statistic: str

    @property
    def is_oracle(self) -> bool:
        """Whether its statistic knows the signal."""
        return self.statistic == ORACLE


def chosen_scores(plan: Plan) -> list[BatteryScore]:
    """The scores of the battery."""
    return [BatteryScore.of(name, plan.study.score) for name in plan.study.battery.scores]


def targets(plan: Plan) -> list[Target]:
    """Every exposure that is sought, by statistic and score, of one such pair all signals."""
    study, made = plan.study, []
    names = study.battery.names(study.laws)
    with_score = [name for name in names if "score" in study.toys.statistic(name)[0].NEEDS]
    pairs = [(None, None, name) for name in names if name not in with_score]
    pairs += [(one.name, one.R, name) for one in chosen_scores(plan) for name in (*with_score, ORACLE)]
    for pair in [*pairs, (KNOWN_PLANE, 0.0, ORACLE)]:
        made += [Target(signal, *pair) for signal in study.battery.signals]
    return made


def n_choices(plan: Plan) -> int:
    """Statistics on scores that `combined` tries: those that no monotone map of the score moves."""
    pairs = {(one.score, one.statistic) for one in targets(plan) if is_tried(plan, one)}
    return len(pairs)


def is_tried(plan: Plan, target: Target) -> bool:
    """Whether `combined` tries a statistic on a score."""
    return not target.is_oracle and is_fit(plan.study.toys, target.statistic)


def shards_of(plan: Plan, signal: str) -> list[Shard]:
    """Shards of a signal's own events."""
    return [shard for shard in plan.battery_shards if shard.kind == signal]


def item(plan: Plan, version: int, target: Target) -> str:
    """The digest of an exposure that is sought."""
    events = plan.score_items(shards_of(plan, target.signal))
    return lineage.digest("battery", version, fields(plan, target), [plan.scored_pool, *events])


def fields(plan: Plan, target: Target) -> dict:
    """What an exposure that is sought follows from, beside the events and their terms."""
    study, signal = plan.study, plan.study.battery.signals[target.signal]
    module, options = signal.module
    return {
        "numbers": study.reach.model_dump(include={"exposure_ty", "p", "power", "groups"}),
        "law": plan.law(None, target.R, target.statistic) | {"score": _score(plan, target.score)},
        "density": study.score.density, "n_choices": n_choices(plan),
        "signal": [plugins.identity("engine.physics.spectra", signal.spectrum), spectra.identity(module, options),
                   signal.m_chi_GeV, signal.value, signal.replaces],
    }  # fmt: skip


def _score(plan: Plan, name: str | None) -> list | str | None:
    """What a score follows from beside the terms of the models and R."""
    if name is None or name == KNOWN_PLANE:
        return name
    if name == PLANE:
        return [name, SCORE_VERSION, *(_score(plan, one) for one in OF_PLANE)]
    one = BatteryScore.of(name, plan.study.score)
    return [plugins.identity("engine.inference.scores", name), parameters(plan, one)]


def parameters(plan: Plan, score: BatteryScore) -> dict:
    """The numbers of a score that is made of terms."""
    return score.module.parameters({role: model.config for role, model in plan.fitted.items()}, score.options)
