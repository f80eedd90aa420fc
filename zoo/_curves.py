"""What a fit tells of an epoch: means per event of the loss and its parts."""

import torch

from zoo._team import Team


class Curves:
    """Means per event over an epoch. A step only notes its values: what is done between two steps, is done cold."""

    def __init__(self):
        self.noted = []

    def add(self, values: dict[str, float | torch.Tensor], n: int) -> None:
        """Counts the means of n events; what is on a device stays there until `fetch`."""
        self.noted.append((values, n))

    def fetch(self) -> None:
        """Reads all that is on the device, and waits for it once."""
        names = [*self.noted[0][0]]
        rows = torch.stack([torch.stack([*values.values()]) for values, _ in self.noted]).tolist()
        self.noted = [(dict(zip(names, row, strict=True)), n) for row, (_, n) in zip(rows, self.noted, strict=True)]

    def means(self, prefix: str, team: Team) -> dict[str, float]:
        """The means of all ranks' events, by name."""
        totals = dict.fromkeys(self.noted[0][0], 0.0)
        for values, n in self.noted:
            for name, value in values.items():
                totals[name] += n * value  # one after the other: a newer Python's sum() would round differently
        *sums, n_events = team.sums([*totals.values(), float(sum(n for _, n in self.noted))])
        return {prefix + name: total / n_events for name, total in zip(totals, sums, strict=True)}
