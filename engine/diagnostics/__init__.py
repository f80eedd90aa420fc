"""How good the fitted models are on events that no fit has seen: a stage of its own, its tables and its lines.

`asked` names the items, `compute` makes them in tasks out of `classification`, `posterior` and `latent`, which are
arithmetic alone; `report` says what was found. No figures.
"""
