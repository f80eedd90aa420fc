"""What is particular to a family."""

import numpy as np
import pytest
from scipy import stats

import zoo
from zoo import flow, waveform_classifier


def test_a_flow_is_the_density_that_made_the_events():
    """y | c is normal with mean 2c and width 1/2, x is normal: ln p within 0.03 nat, and of total probability 1."""
    rng = np.random.default_rng(1)
    c, x = rng.uniform(-1, 1, 8000), rng.normal(size=8000)
    events = np.column_stack([x, 2 * c + rng.normal(0, 0.5, 8000), c])
    config = zoo.configure(flow, {"preprocess": "raw", "epochs": 8, "transforms": 1, "hidden": [32]})
    fit = zoo.fit(flow, config, events, np.zeros(8000), seed=1)
    seen = zoo.terms(fit, events[:2000])["log_density"]
    truth = stats.norm.logpdf(events[:2000, 0]) + stats.norm.logpdf(events[:2000, 1], 2 * c[:2000], 0.5)
    assert abs((seen - truth).mean()) < 0.03 and np.std(seen - truth) < 0.2
    grid = np.linspace(-6, 6, 121)
    plane = np.array([(a, b, 0.5) for a in grid for b in grid])
    assert np.exp(zoo.terms(fit, plane)["log_density"]).sum() * 0.1**2 == pytest.approx(1, abs=0.01)


def test_given_more_than_there_is_is_refused():
    with pytest.raises(ValueError, match="given = 3"):
        zoo.fit(flow, zoo.configure(flow, {"given": 3}), np.ones((2000, 3)), np.zeros(2000), seed=1)


def test_pulses_of_one_area_are_told_apart_by_their_shape():
    """The second stretch alone differs, in its width and not in its sum; positions are random."""
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 1000)
    time, start = np.arange(80), rng.uniform(20, 60, (2000, 1))
    pulses = stats.norm.pdf(time, start, np.where(labels, 6, 3)[:, None])
    events = np.column_stack([rng.poisson(5, (2000, 20)), rng.poisson(400 * pulses)])
    config = zoo.configure(waveform_classifier, {"sections": [20, 80], "epochs": 8, "learning_rate": 0.01})
    fit = zoo.fit(waveform_classifier, config, events, labels, seed=1)
    assert fit.history["validation_accuracy"][-1] > 0.95


def test_sections_are_those_of_the_vector(lab):
    config = zoo.configure(waveform_classifier, {"sections": [20, 9]})
    lab.one_line_error(lambda: zoo.check_input(waveform_classifier, 30, config), "20 + 9 = 29", "30 values")
    zoo.check_input(waveform_classifier, 29, config)
    lab.one_line_error(lambda: zoo.configure(waveform_classifier, {"sections": [20, 0]}), "positive integers")


def test_a_flow_takes_no_more_than_a_summary_and_needs_something_that_is_not_given(lab):
    for n in (2, 3):
        zoo.check_input(flow, n, zoo.configure(flow, {"given": n - 1}))
        lab.one_line_error(lambda n=n: zoo.check_input(flow, n, zoo.configure(flow, {"given": n})), "leaves nothing")
    lab.one_line_error(lambda: zoo.check_input(flow, 4), "at most 3 values, not 4")
