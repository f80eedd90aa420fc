"""TS, the anomaly score of an event: a file is a choice, and it is made of per-event terms of fitted models.

Contract. Constants at the top: ROLES, of every role the kind of its model ("autoencoder", "classifier", "density", or
None for any) and the family that plays it where a study names none; or None, and then `roles(options)` names them.
WEIGHTED: whether it has a weight R, over which a study may scan (0 where not).

`Options` (optional, derived from `engine.options.Options`) are its numbers. `parameters(configs, options)` is what it
takes of its models' configurations, by role, as plain data: with the module it makes the score, and with it the digest.
`ts(terms, R, parameters)` -> (n,) float64, larger for what is less like background; terms: role -> name -> (n,),
`recon` and `kl` of an autoencoder, `logit` of a classifier, `log_density` of a density (`zoo.terms`).
`words(parameters)`: its numbers, in words.
"""

CONTRACT = ("ROLES", "WEIGHTED", "parameters", "ts", "words")
