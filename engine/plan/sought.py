"""Which exposures for three sigma a study seeks: by laws, and where it asks for that, by toys."""

ORACLE, COUNT = "known_signal", "count"  # what a reach is compared with

Sought = tuple[float | None, str, float | None, float]  # R, the name of a statistic, m_chi_GeV, size


def by_law(plan) -> dict[str, Sought]:
    """item -> what is sought, in every place of the study: beside what it asks for, the oracle of every score and the
    count, which stand beside what toys find too. Nothing where no law is known, nor toys asked for.
    """
    asked, at = plan.study.reach, plan.study.at
    toys_places = asked.toys_places(at) if without_law(plan) else []
    beside = [*((R, ORACLE) for R in plan.study.score.R), (None, COUNT)]
    pairs = [*plan.exactly, *(pair for pair in beside if pair not in plan.exactly)]
    wanted = [(pair, place) for place in asked.places(at) for pair in pairs] if asked.enabled and plan.exactly else []
    wanted += [(pair, place) for place in toys_places for pair in beside if (pair, place) not in wanted]
    numbers = asked.model_dump(include={"exposure_ty", "p", "power", "groups"})
    return {plan.reach_item("reach", pair, *place, numbers): (*pair, *place) for pair, place in wanted}


def by_toys(plan) -> dict[str, Sought]:
    """item -> what is sought by toys: the statistics without a law, at masses of their own."""
    asked, toys = plan.study.reach, plan.study.toys
    numbers = asked.model_dump(include={"exposure_ty", "p", "power"})
    numbers |= {"toys": [toys.null, toys.signal], "groups": asked.toys_groups}
    wanted = [(pair, place) for place in asked.toys_places(plan.study.at) for pair in without_law(plan)]
    return {plan.reach_item("reach_toys", pair, *place, numbers): (*pair, *place) for pair, place in wanted}


def without_law(plan) -> list[tuple[float | None, str]]:
    """(R, statistic) of those that only toys serve."""
    return [pair for pair in plan.by_toys if pair not in plan.exactly]
