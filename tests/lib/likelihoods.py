"""Experiments for limits: a count, and bands in (cS1, cS2)."""

import numpy as np

from engine.inference import limits, profile, templates


def counting(background, signal, relative_sd=0.0):
    """One bin: nothing but a count."""
    content = np.array([[background, signal]])
    return limits.Experiment(content, content, np.array([relative_sd, profile.FREE]))


def unbinned_of(bands, names, sd, exposure=1.0):
    """Templates of one half, events of the other; the signal at mu = 1 expects 171 events."""
    cs1, cs2, weights, signal = bands
    half = np.arange(len(cs1)) % 2 == 0
    found = profile.groups(names, sd)
    everything = np.vstack([weights, signal])
    density = templates.densities(templates.estimate(cs1[half], cs2[half], everything[:, half]), cs1, cs2)[~half]
    expected = weights.sum(axis=1)
    background = found.sum(density[:, :-1] * expected) / found.sum(expected)
    in_toys = 2 * exposure * everything[:, ~half]
    return limits.experiment(background, density[:, -1], found.member @ in_toys[:-1], in_toys[-1], found.relative_sd)
