"""The figures of the diagnostics show what they were given."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

from engine import schemas
from engine.diagnostics import classification
from engine.plots import render
from engine.plots.confusion import confusion
from engine.plots.elbo import elbo_against_energy
from engine.plots.latent import latent
from engine.plots.losses import losses
from engine.plots.posterior import posterior_predictive
from engine.plots.reconstruction import Stretch, reconstruction
from engine.plots.roc import roc
from engine.plots.sic import sic


def row(distance=2.0, role="classifier", population="uniform_1_100_keV", n_er=20_000, n_nr=20_000):
    rng = np.random.default_rng(3)
    logit = np.concatenate([rng.normal(0, 1, n_er), rng.normal(distance, 1, n_nr)])
    is_nr = np.repeat([False, True], [n_er, n_nr])
    found = classification.evaluate(is_nr, logit, np.ones(len(logit)))
    return found | {"model": "some_family", "role": role, "population": population, "lineage": ""}


def table(*rows):
    return schemas.table(schemas.DIAGNOSTICS, {name: [one[name] for one in rows] for name in schemas.DIAGNOSTICS.names})


@pytest.fixture(scope="module")
def classified():
    return table(row(), row(1.0, population="window_2_10_keVee"), row(6.0, role="floor"))


def ppc():
    n = 30
    mean = np.where(np.arange(n) % 10 == 0, np.nan, 0.1)
    columns = {"ppc_mean": pa.array(mean, from_pandas=True), "ppc_sd": pa.array(mean * 10, from_pandas=True)}
    fixed = {"section": ["s1_waveform"] * 10 + ["s2_top"] * 20, "feature": [*range(10), *range(20)],
             "test_mean": np.ones(n), "test_sd": np.where(np.isnan(mean), 0.0, 1.0)}  # fmt: skip
    return schemas.table(schemas.POSTERIOR_PREDICTIVE, columns | fixed)


def latent_table(on_map=40):
    n, rng = 60, np.random.default_rng(1)
    place = pa.array(np.where(np.arange(n) < on_map, rng.normal(size=n), np.nan), from_pandas=True)
    return schemas.table(schemas.LATENT, {
        "event": np.arange(n), "kind": ["ER", "NR"] * 30, "energy_keV": rng.uniform(1, 100, n), "recon": np.zeros(n),
        "kl": np.zeros(n), "mu": list(rng.normal(size=(n, 3)).astype(np.float32)), "tsne_1": place, "tsne_2": place,
    })  # fmt: skip


@pytest.mark.parametrize("unknown", [0.0, np.nan])
def test_events_without_a_true_energy_are_left_out(unknown):
    rng = np.random.default_rng(3)
    energy, value = rng.uniform(1, 100, 3000), rng.normal(size=3000)
    known = elbo_against_energy(energy, value, np.ones(3000), {})
    more, odd = np.append(energy, np.full(500, unknown)), np.append(value, np.full(500, 40.0))
    together = elbo_against_energy(more, odd, np.ones(3500), {})
    for limits in ("get_xlim", "get_ylim"):
        assert getattr(together.axes[0], limits)() == getattr(known.axes[0], limits)()


def elbo(weights=True):
    rng = np.random.default_rng(5)
    energy, value = rng.uniform(1, 14, 4000), rng.normal(size=4000)
    low = np.where(energy < 7, 2.0, 0.0) * weights
    return elbo_against_energy(energy, value, np.full(4000, 0.1) * weights, {"20 GeV": low, "500 GeV": 0.0 * low})


def example(image=False):
    rng = np.random.default_rng(2)
    if image:
        pictures = rng.uniform(0, 255, (2, 6, 6, 3))
        return reconstruction({"ER, 6.0 keV": [Stretch("image", *pictures)]})
    x, y = np.meshgrid(np.arange(5.0), np.arange(5.0))
    centres = np.column_stack([x.ravel(), y.ravel()])
    pulse, hits = np.where(np.abs(np.arange(80) - 30) < 5, 9.0, 0.0), rng.poisson(3.0, (2, 25)).astype(float)
    return reconstruction({
        kind: [Stretch("s1_waveform", pulse, pulse - 1.0), Stretch("s2_top", *hits, centres, 6.0)]
        for kind in ("ER, 6.0 keV", "NR, 25.0 keV")
    })  # fmt: skip


FIGURES = {
    "roc": lambda: roc(table(row(), row(6.0, role="floor"))), "sic": lambda: sic(table(row(), row(6.0, role="floor"))),
    "confusion": lambda: confusion(table(row())),
    "posterior": lambda: posterior_predictive(ppc()), "latent": lambda: latent(latent_table()), "elbo": elbo,
    "event": example, "image": lambda: example(image=True),
}  # fmt: skip
EMPTY = {
    "roc": lambda: roc(table(row(n_er=0), row(n_nr=0))), "sic": lambda: sic(table(row(n_er=0), row(n_er=50))),
    "confusion": lambda: confusion(table(row(n_er=0))),
    "posterior": lambda: posterior_predictive(ppc().slice(0, 1)), "latent": lambda: latent(latent_table(0)),
    "elbo": lambda: elbo(False), "event": lambda: reconstruction({}),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_renders_to_the_same_bytes_twice(name):
    assert render(FIGURES[name](), "png") == render(FIGURES[name](), "png")


@pytest.mark.parametrize("name", EMPTY)
def test_without_events_there_is_still_a_figure(name):
    assert render(EMPTY[name](), "png").startswith(b"\x89PNG")


def test_roc_states_auc_and_leakage_of_every_row(classified):
    figure = roc(classified)
    axes, rows = figure.axes[0], classified.to_pylist()
    said = [text.get_text() for text in figure.legends[0].texts]
    assert said[0] == f"some family; uniform 1–100 keV: AUC = {rows[0]['auc']:.4f}, ER leakage at 30 % NR = " + (
        f"{rows[0]['er_leakage_at_30_percent_nr']:.2g}"
    )
    assert said[2].startswith("floor, some family; uniform") and said[2].endswith("ER leakage at 30 % NR < 9.2e-05")
    crosses = [line for line in axes.lines if line.get_marker() in ("x", "<")]
    assert [line.get_ydata()[0] for line in crosses] == [0.3] * 3
    assert crosses[1].get_xdata()[0] == rows[1]["er_leakage_at_30_percent_nr"]
    assert crosses[2].get_marker() == "<"
    assert crosses[2].get_xdata()[0] == rows[2]["er_leakage_at_30_percent_nr_high"]
    styles = [(line.get_color(), line.get_linestyle()) for line in axes.lines if len(line.get_xdata()) > 100]
    assert styles[:3] == [("C0", "-"), ("C0", "--"), ("0.45", "-")]


def test_roc_has_a_colour_for_every_classifier_of_a_score():
    axes = roc(table(row(), row(3.0, role="second"), row(6.0, role="floor"))).axes[0]
    assert [line.get_color() for line in axes.lines if len(line.get_xdata()) > 100][:3] == ["C0", "C1", "0.45"]


def test_a_row_of_the_confusion_matrix_is_shares_of_one_kind(classified):
    panels = [axes for axes in confusion(classified).axes if axes.get_visible()]
    assert len(panels) == 3
    shares = panels[0].images[0].get_array()
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    one = classified.to_pylist()[0]
    assert panels[0].texts[1].get_text() == f"{shares[0, 1]:.2%}\n{one['er_as_nr']}"


def test_a_pixel_that_hardly_varies_does_not_rule_the_check():
    """One event in thousands lights it: the rest of the figure would be a line."""
    table = ppc()
    columns = {name: table[name].to_pylist() for name in ("ppc_mean", "test_sd")}
    columns["ppc_mean"][5], columns["test_sd"][5] = 3000.0, 0.02
    for name, values in columns.items():
        table = table.set_column(table.column_names.index(name), table.schema.field(name), pa.array(values))
    axes = posterior_predictive(table).axes[0]
    mean = next(line for line in axes.lines if line.get_label() == "mean, Eq. (3)")
    assert np.nanmax(mean.get_ydata()) == pytest.approx(0.1) and np.isnan(mean.get_ydata()[5])
    assert axes.get_title(loc="left").startswith("4 of 30 features vary by less than their rounding")


def test_the_check_parts_sections_and_says_what_has_no_sigma():
    axes = posterior_predictive(ppc()).axes[0]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "section"] == [9.5]
    assert axes.get_title(loc="left") == (
        "3 of 30 features vary by less than their rounding in the test events: left out"
    )
    mean = next(line for line in axes.lines if line.get_label() == "mean, Eq. (3)")
    np.testing.assert_allclose(np.nanmax(mean.get_ydata()), 0.1)


def test_the_map_shows_each_kind_once_in_the_colour_of_its_energy():
    shown, panels = latent_table(), latent(latent_table()).axes[:2]
    for axes, kind in zip(panels, ("ER", "NR"), strict=True):
        mine = [one for one in shown.to_pylist() if one["kind"] == kind and one["tsne_1"] is not None]
        np.testing.assert_allclose(axes.collections[0].get_array(), [one["energy_keV"] for one in mine])
        assert axes.get_title(loc="left").endswith(f"{len(mine)} events") and len(mine) == 20


def test_marginals_are_shares_of_each_sample_that_has_events():
    figure = elbo()
    axes, top, right = figure.axes
    for side in (top, right):
        steps = side.patches
        assert len(steps) == 2, "the signal of no events has none"
        assert all(0.97 < step.get_data().values.sum() <= 1 for step in steps)
    signal = top.patches[1].get_data()
    assert signal.values[signal.edges[:-1] > 7].sum() == 0
    assert {text.get_text() for text in figure.legends[0].texts} == {"background, ER and NR", "20 GeV"}
    assert "keV" in axes.get_xlabel() and "nat" in axes.get_ylabel()


def test_a_waveform_is_overlaid_and_a_pattern_shown_beside_its_own():
    panels = [axes for axes in example().axes if axes.get_title(loc="left") or axes.get_title()]
    pulse, real, made = panels[:3]
    first, second = (step.get_data().values for step in pulse.patches)
    np.testing.assert_allclose(first - second, 1.0)
    assert [text.get_text() for text in pulse.get_legend().texts] == ["simulated, 81 PE", "reconstructed, 1 PE"]
    colours = [axes.collections[0].get_facecolors() for axes in (real, made)]
    assert len(colours[0]) == len(colours[1]) == 25 and not np.allclose(*colours)


def test_the_improvement_of_two_normals_and_the_largest_argos(classified):
    (first, *_), axes = classified.to_pylist(), sic(classified).axes[0]
    kept, value = axes.lines[0].get_data()
    leaked = norm.sf(norm.isf(kept) + 2.0)
    np.testing.assert_allclose(value, kept / np.sqrt(leaked), rtol=0.2)
    dot = next(line for line in axes.lines if line.get_gid() == "argos")
    assert dot.get_xdata() == [first["argos_nr_acceptance"]]
    assert dot.get_ydata()[0] - np.sqrt(first["argos_er_leakage"]) == pytest.approx(first["argos"])


def test_losses_of_every_epoch_are_drawn_of_each_model():
    history = {"train_loss": [3.0, 2.0], "validation_loss": [3.1, 2.5], "watched_loss": [-1.0, 4.0], "train_kl": [9.0]}
    figure = losses({"vae": history, "classifier": {"train_loss": [0.5], "validation_loss": [0.4]}})
    lines = [[list(line.get_ydata()) for line in axes.lines] for axes in figure.axes]
    assert lines == [[[3.0, 2.0], [3.1, 2.5], [-1.0, 4.0]], [[0.5], [0.4]]]
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log"]
