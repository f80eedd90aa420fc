"""Fast kernels beside slow, obvious twins that do the same: what each does per second of one core.

A room is a module with `sides() -> list[Side]`; `run` compares the sides of every room in ROOMS. The tests hold each
pair to the same answer. `budget` says where a simulated event's time goes.
"""

from engine.bench import peers, simulation, statistics, tail, toys, training
from engine.bench.speed import SpeedRatio

ROOMS = (toys, statistics, simulation, tail, training)


def run(seconds: float = 2.0, of_peers: bool = False) -> list[SpeedRatio]:
    """Every comparison of every room, or those with other tools; each side works for `seconds`, and once before to
    compile. Raises BadInput where the other tools are not installed."""
    return [side.compare(seconds) for room in ((peers,) if of_peers else ROOMS) for side in room.sides()]
