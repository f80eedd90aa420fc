"""The command that measures."""

from typing import Annotated

import typer
from rich.table import Table

from engine.cli.options import console


def bench(
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="Time given to each kernel.")] = 2.0,
    of_driver: Annotated[bool, typer.Option("--driver", help="What the driver costs instead; some minutes.")] = False,
    on_gpu: Annotated[bool, typer.Option("--gpu", help="Networks on a GPU, if any, and on a core; minutes.")] = False,
    of_peers: Annotated[bool, typer.Option("--peers", help="Beside blueice (of alea) and pyhf instead.")] = False,
) -> None:
    """Speed of the fast kernels beside their slow, obvious twins, in the same run; and where an event's time goes."""
    from engine.bench import budget, device, driver, run

    if of_driver:
        rows = Table("what the driver costs", "measured")
        for row in driver.rows():
            rows.add_row(*row)
        console.print(rows)
        return

    if on_gpu:
        found = device.devices()
        rows = Table("network", "on", "steps / s", "events / s", "of a large product", "scored / s")
        for row in device.rows(seconds, found):
            rows.add_row(*row)
        console.print(rows)
        if len(found) == 1:
            console.print("no GPU here, or none that torch finds: the CPU alone")
        return

    rows = Table("kernel", "fast", "other" if of_peers else "plain", "unit", "ratio")
    for result in run(seconds, of_peers):
        fast, slow = (f"{rate:,.0f}" for rate in (result.fast_per_s, result.slow_per_s))
        rows.add_row(result.name, fast, slow, result.unit, f"{result.ratio:.1f}")
    console.print(rows)
    if of_peers:
        return
    budgets = budget.run()
    rows = Table("ms per 1000 events", *(each.name for each in budgets))
    for row in budget.rows(budgets):
        rows.add_row(*row)
    console.print(rows)
