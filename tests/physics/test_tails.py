"""Events that are kept for what they look like: those that were thrown, number for number, and rightly weighted."""

from functools import cache

import numpy as np
import pytest
from scipy.stats import chi2

from engine.physics import events, tails
from engine.physics.detectors import TPC, darwin, xenonnt

DARWIN = darwin.CONSTANTS
DETECTORS = {
    "darwin": DARWIN, "xenonnt": xenonnt.CONSTANTS,
    "sharp": TPC(**DARWIN.model_dump() | {"spe_resolution": 0.0, "double_pe_probability": 0.0, "s2_threshold_pe": 4e3}),
}  # fmt: skip
ENRICHMENT, N = 20, 20_000
WINDOW_KEVEE = (2.0, 10.0)


def energies(kind, n, seed=1):
    return np.random.default_rng(seed).uniform(1, {"ER": 14, "NR": 70}[kind], n)


def inside(columns):
    return columns["registered"] & (columns["ces_keVee"] >= WINDOW_KEVEE[0]) & (columns["ces_keVee"] < WINDOW_KEVEE[1])


@cache
def pilot(kind, n=N):
    """cS1 and cS2 in the window."""
    columns = events.charged(DARWIN, kind, energies(kind, n), ("pilot", kind))
    return tuple(columns[name][inside(columns)] for name in ("cs1_pe", "cs2_pe"))


@cache
def tail(enrichment=ENRICHMENT):
    return tails.fit(pilot("ER"), pilot("NR"), enrichment)


# What is thrown


@pytest.mark.parametrize("kind", ["ER", "NR"])
@pytest.mark.parametrize("detector", DETECTORS)
def test_charges_are_those_of_pulses_to_the_bit(detector, kind):
    """Of S2s whose photons are followed one by one, and of those whose photons are too many."""
    tpc, energy_keV = DETECTORS[detector], np.concatenate([energies(kind, 150), [0.06, 80.0]])
    whole, readout = events.simulate(tpc, kind, energy_keV, "same")
    drawn, bare = events.simulate(tpc, kind, energy_keV, "same", pulses=False)
    charged = events.charged(tpc, kind, energy_keV, "same")
    for name, column in whole.items():
        np.testing.assert_array_equal(drawn[name], column, name)
        if name != "registered":
            np.testing.assert_array_equal(charged[name], column, name)
    assert np.all(charged["registered"] >= whole["registered"]) and charged["registered"].sum() < len(energy_keV)
    for name, part in vars(readout).items():
        has_none = name.endswith(("waveform", "top", "bottom"))
        assert getattr(bare, name).shape[1:] == (0,) if has_none else np.array_equal(getattr(bare, name), part), name


def test_an_event_that_is_kept_has_the_s1_and_s2_that_it_was_kept_for():
    tpc = DARWIN.model_copy(update={"dark_count_rate_hz": 0.0, "baseline_noise_pe": 0.0})  # which are no part of either
    energy_keV, chance = energies("ER", 400), np.linspace(0, 1, 400)
    whole, _ = events.simulate(tpc, "ER", energy_keV, "kept")
    place, probability, columns, readout = events.enriched(tpc, "ER", energy_keV, "kept", lambda seen: chance)
    assert 120 < len(place) < 280 and np.all(np.diff(place) > 0)
    np.testing.assert_array_equal(probability, chance[place])
    for name in whole.keys() - {"registered"}:
        np.testing.assert_array_equal(columns[name], whole[name][place], name)
    hits = np.concatenate([readout.s2_top, readout.s2_bottom], axis=1).sum(axis=1, dtype=float)
    np.testing.assert_allclose(hits, columns["s2_pe"], rtol=1e-5)
    np.testing.assert_allclose(readout.s1_waveform.sum(axis=1, dtype=float), columns["s1_pe"], rtol=1e-5)


def test_what_cannot_be_registered_is_not_kept():
    energy_keV = np.geomspace(0.3, 5, 300)
    place, _, columns, _ = events.enriched(DARWIN, "NR", energy_keV, "dark", lambda seen: np.ones(300), pulses=False)
    whole, _ = events.simulate(DARWIN, "NR", energy_keV, "dark", pulses=False)
    assert 0 < len(place) < 300 and columns["registered"].mean() > 0.9
    assert set(np.flatnonzero(whole["registered"])) <= set(place)


# What is kept


def test_no_weight_exceeds_the_bound_and_no_probability_one():
    rng = np.random.default_rng(2)
    cs1, cs2 = 10 ** rng.uniform(-4, 6, (2, 10_000))
    for enrichment in (2, 20, 1000):
        probability = tail(enrichment).probability(cs1, cs2)
        assert 1 / enrichment <= probability.min() and probability.max() <= 1, enrichment
    assert np.all(np.isfinite(tail().probability(np.zeros(2), np.array([0.0, 1e4]))))


@pytest.mark.parametrize("enrichment", [20, 200])
def test_as_many_are_kept_as_was_said(enrichment):
    cs1, cs2 = pilot("ER", 3 * N)
    expected = enrichment * tail(enrichment).probability(cs1, cs2).mean()
    assert expected == pytest.approx(tails.KEPT, rel={20: 0.1, 200: 0.3}[enrichment])


def test_all_are_kept_where_twice_as_many_are_thrown():
    """KEPT is more than two."""
    assert tail(2).probability(*pilot("ER")).min() > 0.999


def test_what_looks_like_a_nuclear_recoil_is_kept():
    """Nearly every electron recoil beyond the line that keeps 30 % of nuclear recoils; and one in 20 of their band."""
    er, nr = (tail().likeness(*pilot(kind, 3 * N)) for kind in ("ER", "NR"))
    probability = tail().probability(*pilot("ER", 3 * N))
    assert probability[er > np.quantile(nr, 0.7)].min() > 0.95
    assert probability[er > np.quantile(nr, 0.5)].min() > 0.85
    assert np.quantile(probability, 0.5) < 1.5 / ENRICHMENT


def test_effective_events_beyond_each_threshold_are_nearly_those_thrown():
    """Per event thrown; a plain pool of the same size of its own has ENRICHMENT times fewer."""
    cs1, cs2 = pilot("ER", 3 * N)
    likeness, weight = tail().likeness(cs1, cs2), 1 / tail().probability(cs1, cs2)
    effective = [1 / weight[likeness > np.quantile(likeness, 1 - share)].mean() for share in (1e-3, 3e-3, 3e-2, 1)]
    assert np.all(np.diff(effective) < 0)
    assert effective[0] > 0.95 and effective[1] > 0.85 and effective[2] > 0.4  # 19, 17 and 8 times a plain pool's
    assert effective[3] * ENRICHMENT > 1  # and of all events no fewer


def test_the_tail_is_the_same_whatever_fits_it():
    """In other units of work: recoils in another order, and twice, give the same coefficients to their digits."""
    (er1, er2), (nr1, nr2) = pilot("ER"), pilot("NR")
    turned = tails.fit((er1[::-1], er2[::-1]), (nr1[::-1], nr2[::-1]), ENRICHMENT)
    np.testing.assert_allclose(turned.coefficients, tail().coefficients, atol=2e-3)
    assert turned.half == pytest.approx(tail().half, abs=0.01)


# Unbiased

SHOWN = {  # bins of what is looked at: what events were kept for, and what they were given afterwards
    "cs1_pe": 8, "ces_keVee": 8, "drift_us": 5, "energy_keV": 8, "likeness": 10,
    "s1_centre": 6, "s2_width": 6, "hottest": 6,
}  # fmt: skip


def shown(columns, readout, energy_keV):
    """SHOWN of the events that pass."""
    use, samples = inside(columns), np.arange(DARWIN.s2_samples)
    made = {name: column[use] for name, column in (columns | {"energy_keV": energy_keV}).items()}
    s1, s2, top = (part[use].astype(float) for part in (readout.s1_waveform, readout.s2_waveform, readout.s2_top))
    s2 /= s2.sum(axis=1, keepdims=True)
    return made | {
        "likeness": tail().likeness(made["cs1_pe"], made["cs2_pe"]),
        "s1_centre": s1 @ np.arange(DARWIN.s1_samples) / s1.sum(axis=1),
        "s2_width": np.sqrt(s2 @ samples**2 - (s2 @ samples) ** 2), "hottest": top.max(axis=1) / made["s2_pe"],
    }  # fmt: skip


def enriched(seed, n):
    """What is kept of n electron recoils, and weights per event thrown."""
    def probability(columns):
        return np.where(inside(columns), tail().probability(columns["cs1_pe"], columns["cs2_pe"]), 0.0)

    energy_keV = energies("ER", n, 100 + seed)
    place, chance, *made = events.enriched(DARWIN, "ER", energy_keV, ("unbiased", seed), probability)
    return shown(*made, energy_keV[place]), 1 / chance[inside(made[0])] / n


def plain(n, at_once=1000):
    """Those of n electron recoils that pass."""
    parts = []
    for part, energy_keV in enumerate(energies("ER", n, 77).reshape(-1, at_once)):
        parts.append(shown(*events.simulate(DARWIN, "ER", energy_keV, ("plain", part)), energy_keV))
    return {name: np.concatenate([part[name] for part in parts]) for name in SHOWN}


@pytest.mark.parametrize(
    ("n_plain", "n"), [(15_000, 4000), pytest.param(400_000, 50_000, marks=pytest.mark.slow)], ids=["small", "large"]
)
def test_expectations_are_those_of_a_plain_pool(n_plain, n):
    """Over 20 seeds, in every bin of SHOWN, by chi-square; the last bins hold what is most like a nuclear recoil."""
    reference, seeds = plain(n_plain), 20
    edges = {name: np.quantile(reference[name], np.linspace(0, 1, bins + 1)) for name, bins in SHOWN.items()}
    edges["likeness"] = np.quantile(reference["likeness"], 1 - np.geomspace(1, 20 / len(reference["cs1_pe"]), 11))
    for ends in edges.values():
        ends[0], ends[-1] = -np.inf, np.inf
    sums, squares = ({name: np.zeros(bins) for name, bins in SHOWN.items()} for _ in range(2))
    for seed in range(seeds):
        seen, weight = enriched(seed, n)
        for name in SHOWN:
            sums[name] += np.histogram(seen[name], edges[name], weights=weight / seeds)[0]
            squares[name] += np.histogram(seen[name], edges[name], weights=(weight / seeds) ** 2)[0]
    p = {}
    for name in SHOWN:
        expected = np.histogram(reference[name], edges[name])[0] / n_plain
        square = np.sum((sums[name] - expected) ** 2 / (squares[name] + expected / n_plain))
        p[name] = chi2.sf(square, len(expected))
    assert min(p.values()) > 0.01, p
