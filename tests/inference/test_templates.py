"""The template-likelihood baseline: densities and their units, shared rates, and the fast sums against the slow fit."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import optimize, stats

from engine.errors import BadInput
from engine.inference import profile, strata, templates, toys
from engine.inference import template_likelihood as tl

KPE = float(np.log(1000.0))
BENCHMARK = 1.0  # of the signal's weights: 171 events


def model_of(bands, names, sd, unit="pe_pe"):
    """Templates and null from the first half of the pool; rows and weights per group everywhere."""
    cs1, cs2, weights, signal = bands
    half = np.arange(len(cs1)) % 2 == 0
    found = profile.groups(names, sd)
    shapes = templates.estimate(cs1[half], cs2[half], weights[:, half])
    per_component = templates.densities(shapes, cs1, cs2, unit) * weights.sum(axis=1)
    rows, grouped = found.sum(per_component), found.member @ weights
    null = tl.null(rows[~half], grouped[:, ~half], grouped.sum(axis=1), found.relative_sd)
    return SimpleNamespace(
        rows=rows, half=half, null=null, weights=grouped, signal=signal, groups=found, shapes=shapes, cs1=cs1, cs2=cs2
    )


@pytest.fixture(scope="module")
def model(bands, band_names):
    return model_of(bands, *band_names)


def experiments(model, strength, n=40, key="templates"):
    """Indices of the events of n experiments from the other half, each with its own rates."""
    rng, pool = toys.stream(key, strength), np.flatnonzero(~model.half)
    rate = 1 + model.groups.relative_sd * np.maximum(rng.standard_normal((n, len(model.groups.names))), -1)
    mean = 2 * (rate @ model.weights[:, pool] + strength * model.signal[pool])
    return [np.repeat(pool, counts) for counts in rng.poisson(mean)]


def sums(model, drawn, rows=None, null=None):
    columns = tl.per_event(model.rows if rows is None else rows, null or model.null)
    return np.array([len(events) for events in drawn]), np.array([columns[events].sum(axis=0) for events in drawn])


# Templates


def test_a_template_integrates_to_one_and_has_the_events_moments(model, bands):
    """On a grid over the template's own coordinates, back in PE: density times area."""
    weights = bands[2][:, model.half]
    for shape, w in zip(model.shapes, weights, strict=True):
        axes = [shape.first[k] + shape.step[k] * np.arange(templates.N_BINS) for k in (0, 1)]
        x, y = np.meshgrid(*axes, indexing="ij")
        cs1 = np.exp(x)
        cs2 = cs1 * 10 ** (y + shape.slope * x)
        area = cs1 * cs2 * np.log(10) * shape.step.prod()
        mass = shape.density(cs1.ravel(), cs2.ravel()).reshape(x.shape) * area
        assert mass.sum() == pytest.approx(1, abs=2e-3)
        for grid, events in ((x, np.log(model.cs1[model.half])), (np.log(cs2), np.log(model.cs2[model.half]))):
            mean, true = (mass * grid).sum() / mass.sum(), np.average(events, weights=w)
            sd = np.sqrt(np.average((events - true) ** 2, weights=w))
            assert mean == pytest.approx(true, abs=0.05 * sd)
            assert np.sqrt((mass * (grid - mean) ** 2).sum()) == pytest.approx(sd, rel=0.08)


def test_a_gaussian_in_the_templates_coordinates_is_recovered():
    rng = np.random.default_rng(5)
    x, y = 4 + 0.3 * rng.standard_normal(40000), 2 + 0.05 * rng.standard_normal(40000)
    shape = templates.estimate(np.exp(x), np.exp(x) * 10**y, np.ones((1, 40000)))[0]
    at = np.array([[3.7, 4.0, 4.3], [2.0, 2.05, 1.95]])
    cs1, cs2 = np.exp(at[0]), np.exp(at[0]) * 10 ** at[1]
    expected = stats.norm.pdf(at[0], 4, 0.3) * stats.norm.pdf(at[1], 2, 0.05) / (cs1 * cs2 * np.log(10))
    assert shape.density(cs1, cs2) == pytest.approx(expected, rel=0.08)


def test_the_floor_speaks_where_the_pool_says_nothing(model):
    shape, far = model.shapes[0], (np.array([5.0]), np.array([1e7]))
    assert shape.on_floor(*far).all() and not shape.on_floor(model.cs1, model.cs2).all()
    assert shape.density(*far)[0] == pytest.approx(shape.floor / (5.0 * 1e7 * np.log(10)))
    assert shape.floor == pytest.approx(1e-9 * shape.height.max())


def test_units_differ_by_the_jacobian(model):
    events = model.shapes, model.cs1, model.cs2
    per_pe2, per_log, per_kpe = (templates.densities(*events, unit) for unit in templates.UNITS)
    assert per_kpe == pytest.approx(1000 * per_pe2, rel=1e-12)
    assert per_log == pytest.approx(per_pe2 * (model.cs2 * np.log(10))[:, None], rel=1e-12)
    with pytest.raises(BadInput, match="pe_kpe"):
        templates.ln_jacobian(model.cs2, "kpe")


@pytest.mark.parametrize("bad", ["negative", "empty"])
def test_a_pool_that_gives_no_template_is_refused(bad):
    cs1, weights = np.array([10.0, 20.0]), np.ones((2, 2))
    if bad == "negative":
        cs1[0] = -1.0
    else:
        weights[1] = 0
    with pytest.raises(BadInput, match="cs1_pe > 0" if bad == "negative" else r"\[1\]"):
        templates.estimate(cs1, np.array([1e3, 2e3]), weights)


# Rates


def test_components_share_the_rates_of_table_3():
    names, sd = ("pp", "xe124_ec", "kr85", "be7", "xe136", "hep"), np.array([0.03, 0.2, 0.1, 0.03, 0.1, 0.04])
    found = profile.groups(names, sd)
    assert found.names == ("er_intrinsic", "er_solar", "nr_solar", "xe124_ec")
    assert found.relative_sd.tolist() == [0.1, 0.03, 0.04, 0.2]
    assert found.sum(np.arange(6.0)).tolist() == [2 + 4, 0 + 3, 5, 1]
    assert profile.groups(names, sd, shared={}).names == names
    with pytest.raises(BadInput, match="er_solar"):
        profile.groups(("pp", "be7"), np.array([0.03, 0.06]))


@pytest.mark.parametrize("relative_sd", [(0.1, 0.03, 0.5), (0.1, 0.0, 0.5), (0.2, 0.03, profile.FREE)])
@pytest.mark.parametrize("n_events", [0, 3, 400])
def test_the_fit_finds_what_a_general_minimiser_finds(relative_sd, n_events):
    """The formula written out, minimised by L-BFGS-B; with no event, a free rate ends at its bound of zero."""
    rng = np.random.default_rng(n_events)
    rows, expected, sd = rng.random((n_events, 3)) * [9, 30, 2.0], np.array([250.0, 140.0, 8.0]), np.array(relative_sd)
    free = sd > 0

    def objective(part):
        theta = np.ones(3)
        theta[free] = part
        pull = ((theta - 1)[free] / sd[free]) ** 2
        return theta @ expected - np.log(rows @ theta).sum() + pull.sum() / 2

    slow = optimize.minimize(objective, np.ones(free.sum()), bounds=[(1e-9, None)] * int(free.sum()), tol=1e-14)
    theta, value = profile.fit(rows, np.ones(n_events), expected, sd)
    assert value == pytest.approx(slow.fun, abs=2e-5) and value <= slow.fun + 1e-7
    assert theta[free] == pytest.approx(slow.x, abs=2e-3)
    assert np.all(theta[~free] == 1)


def test_a_row_with_a_count_is_as_many_rows():
    rng = np.random.default_rng(3)
    rows, counts = rng.random((20, 2)), rng.integers(0, 5, 20)
    expected, sd = np.array([30.0, 12.0]), np.array([0.3, 0.1])
    one = profile.fit(rows, counts, expected, sd)
    each = profile.fit(np.repeat(rows, counts, axis=0), np.ones(counts.sum()), expected, sd)
    assert one[1] == pytest.approx(each[1], abs=1e-9) and one[0] == pytest.approx(each[0], abs=1e-6)


# The statistic


@pytest.mark.parametrize("strength", [0.0, BENCHMARK])
def test_the_sums_say_what_the_events_say(model, strength):
    """Fast against exact, with rates drawn anew and with the benchmark's signal; never above it (Jensen)."""
    drawn = experiments(model, strength)
    n_events, totals = sums(model, drawn)
    fast = tl.statistic(n_events, totals, model.null)
    slow = np.array([tl.exact(model.rows[events], model.null) for events in drawn])
    at_nominal = tl.statistic(n_events, totals, model.null, profiled=False)
    slow_at_nominal = np.array([tl.exact(model.rows[events], model.null, profiled=False) for events in drawn])
    assert at_nominal == pytest.approx(slow_at_nominal, rel=1e-12)
    assert np.all(fast <= slow + 1e-6)
    error = np.abs(fast - slow).max()
    assert error < 0.5
    assert error < 0.02 * np.std(at_nominal - fast), "the strata must resolve what profiling changes"
    assert np.all(fast <= at_nominal + 1e-9), "profiling never increases -2 ln L"
    assert np.any(fast < at_nominal - 1)


def test_more_strata_are_nearer_to_the_events(model):
    drawn = experiments(model, BENCHMARK, n=10)
    slow = np.array([tl.exact(model.rows[events], model.null) for events in drawn])
    errors = []
    for n_strata in (1, 4, 16):
        unseen = model.rows[~model.half], model.weights[:, ~model.half]
        null = tl.null(*unseen, model.null.expected, model.groups.relative_sd, n_strata)
        errors.append(np.abs(tl.statistic(*sums(model, drawn, null=null), null) - slow).max())
    assert errors[0] > 10 * errors[1] > 20 * errors[2]


def test_a_series_in_the_rates_would_not_do(model):
    """Why there are strata: to second order about the nominal rates, the benchmark's q is wrong by its own size."""
    events = experiments(model, BENCHMARK, n=1)[0]
    theta = profile.fit(model.rows[events], np.ones(len(events)), model.null.expected, model.null.relative_sd)[0]
    step = strata.shares(model.rows[events]) @ (theta - 1)
    assert theta.max() > 2
    assert abs(2 * np.sum(np.log1p(step) - (step - step**2 / 2))) > 50


def test_columns_add_up_over_the_engines_own_toys(model):
    """The compiled sums of the toy engine take the columns as they are."""
    drawable = ~model.half
    values = tl.per_event(model.rows[drawable], model.null)
    counts = np.random.default_rng(2).poisson(model.null.expected, (200, len(model.null.expected)))
    wanted = toys.quantities([("sums", values, values.shape[1])])
    totals = toys.background_totals(toys.stream("columns"), counts, model.weights[:, drawable], wanted)
    n_events = counts.sum(axis=1)
    assert totals[:, 1:].sum(axis=1) == pytest.approx(n_events, rel=1e-9)
    z = tl.conditional(n_events, totals, model.null)
    assert z.mean() == pytest.approx(0, abs=0.3) and z.std() == pytest.approx(1, rel=0.2)
    seen = tl.null(model.rows[model.half], model.weights[:, model.half], model.null.expected, model.null.relative_sd)
    assert tl.conditional(n_events, totals, seen).mean() > 2, "moments at the templates' own events are too small"


def test_ln_n_factorial_is_added_or_left_out(model):
    n_events, totals = sums(model, experiments(model, 0.0, n=5))
    q = [tl.statistic(n_events, totals, model.null, ln_n_factorial=on) for on in (True, False)]
    expected = [2 * np.log(np.arange(1, n + 1)).sum() for n in n_events]
    assert q[0] - q[1] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("profiled", [True, False])
def test_a_unit_shifts_q_by_the_jacobian_and_leaves_the_conditional(model, bands, band_names, profiled):
    """The trap: kPE in place of PE takes 2 N ln 1000 from q, with another N in every experiment."""
    drawn, in_kpe = experiments(model, 0.0), model_of(bands, *band_names, unit="pe_kpe")
    n_events, in_pe = sums(model, drawn)
    moved = sums(in_kpe, drawn)[1]
    q = tl.statistic(n_events, in_pe, model.null, profiled=profiled)
    q_kpe = tl.statistic(n_events, moved, in_kpe.null, profiled=profiled)
    assert q - q_kpe == pytest.approx(2 * n_events * KPE, rel=1e-9)
    z, z_kpe = tl.conditional(n_events, in_pe, model.null), tl.conditional(n_events, moved, in_kpe.null)
    assert z == pytest.approx(z_kpe, abs=1e-6)
    assert np.argsort(q).tolist() != np.argsort(q_kpe).tolist()


def test_a_logarithm_shifts_q_event_by_event(model, bands, band_names):
    drawn, in_log = experiments(model, 0.0, n=10), model_of(bands, *band_names, unit="pe_log10pe")
    n_events, in_pe = sums(model, drawn)
    moved = sums(in_log, drawn)[1]
    shift = [2 * np.log(np.log(10) * model.cs2[events]).sum() for events in drawn]
    q, q_log = (tl.statistic(n_events, t, m.null) for t, m in ((in_pe, model), (moved, in_log)))
    assert q - q_log == pytest.approx(shift, rel=1e-9)
    z, z_log = tl.conditional(n_events, in_pe, model.null), tl.conditional(n_events, moved, in_log.null)
    assert np.abs(z - z_log).max() > 0.1


def test_an_experiment_without_events_has_a_value(model):
    n_events, totals = np.array([0]), np.zeros((1, 1 + len(model.null.strata) * len(model.null.expected)))
    q = tl.statistic(n_events, totals, model.null)
    assert 0 < q[0] < 2 * model.null.expected.sum()
    assert q[0] == pytest.approx(tl.exact(np.empty((0, len(model.null.expected))), model.null), abs=1e-6)
    assert tl.conditional(n_events, totals, model.null)[0] == 0
