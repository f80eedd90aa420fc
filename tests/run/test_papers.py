"""Every study of a paper's figures goes its whole way, in a form that is tiny; what it says then means nothing."""

import pytest

from engine import study
from engine.plan.plan import Plan
from engine.report import figures, physics_page, tuned
from engine.run import pipeline
from engine.run.tuning import search
from engine.store.store import Store

TINY = (
    "preset=small", "events={train_per_kind=100, test_per_kind=100}", "pool={er_events=1000, nr_events=600}",
    "models.vae.hidden=[8]", "models.vae.latent=2", "models.vae.epochs=2", "models.vae.batch_size=20",
    "models.classifier.hidden=[4]", "models.classifier.batch_size=20", "models.classifier.epochs=2",
    "grid.exposure_ty=[20]", "figures.exposure_ty=[20]",
    "toys.null=200", "toys.signal=200", "reach.enabled=false", "limits.enabled=false",
)  # fmt: skip
OWN = {  # what a figure needs beside
    "darwin_plane": ("grid.m_chi_GeV=[20, 100]", "grid.sigma_si_cm2=[1e-48, 1e-47, 1e-46]"),
    "darwin_exposure": ("grid.exposure_ty=[5, 20]",),
}
SCANS = {  # what the name of each figure begins with
    "darwin_plane": {"plane"},
    "darwin_exposure": {"p_against_exposure"},
    "darwin_q": {"q_panels"},
    "darwin_scores": {"scores", "pure_scores"},
    "darwin_training": {"roc", "posterior_predictive", "elbo_energy", "latent", "losses"},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One store for all, as their users have it."""
    return Store(str(tmp_path_factory.mktemp("papers")))


@pytest.mark.parametrize("name", SCANS)
def test_a_scan_ends_with_the_figures_of_its_paper_and_resumes(name, store):
    tiny = study.load(name, (*TINY, *OWN.get(name, ())))
    outcome = pipeline.run(tiny, store, workers=0)
    files = figures.draw(outcome.plan, outcome)
    drawn = {figures.kind(name.removesuffix(".png")) for name in files if name.endswith(".png")}
    assert drawn >= SCANS[name] and drawn == set(tiny.figures.kinds or drawn)
    again = pipeline.run(tiny, store, workers=0)
    assert again.table.equals(outcome.table) and not sum(again.computed.values())


def test_fits_are_shared(store):
    """But for the one whose trials are not watched, every study has those of darwin_plane."""
    shared = {name: Plan(study.load(name, TINY)) for name in (*SCANS, "darwin_weight", "darwin_beta")}
    items = {name: set(plan.fits) for name, plan in shared.items()}
    unwatched = items.pop("darwin_beta")
    assert len({frozenset(of) for of in items.values()}) == 1
    assert len(unwatched & items["darwin_plane"]) == 1, "the classifier"


@pytest.mark.parametrize(("name", "settings", "figure"), [
    ("darwin_weight", ("tune.R={log=[1, 1e7], n=3}", "tune.more_trials=0", "tune.m_chi_GeV=[50]"), "p_against_R"),
    ("darwin_beta", ("tune.trials=2", "tune.R=[1, 100]"), "objective_against_fields"),
])  # fmt: skip
def test_a_tuning_ends_with_its_figure(name, settings, figure, store):
    settings = (*TINY, *settings)
    result = search.run(study.load(name, settings), store, workers=0)
    files = tuned.files(result, study.document(name, settings))
    assert f"{figure}.png" in files
    again = study.parse(study.document(name, settings).unwrap())
    assert again.tune == study.load(name, settings).tune


def test_backgrounds_have_spectra_and_events():
    files = physics_page.files(study.load("darwin_backgrounds", TINY), 400)
    assert {"spectra.png", "event_ER.png", "event_NR.png", "report.md"} <= files.keys()
