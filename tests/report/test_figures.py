"""What was drawn is known by its hash: what does not verify is not sent on."""

from types import SimpleNamespace

import pytest

from engine.report import figures
from engine.store.store import Store
from engine.study.figures import Figures


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A store with two figures and a table of theirs, and how often they were drawn again."""
    store, calls = Store(str(tmp_path)), []
    made = {"a.png": b"A", "c.csv": b"new", "e.png": b"E"}
    monkeypatch.setattr(figures, "draw", lambda plan, outcome, every: calls.append(every) or made)
    plan = SimpleNamespace(table="table", study=SimpleNamespace(figures=Figures()))
    figures.keep(store, plan, {"a.png": b"A", "b.pdf": b"B"})
    figures.keep(store, plan, {"c.csv": b"C"})
    return store, SimpleNamespace(plan=plan), calls


def test_whole_ones_are_as_they_were_kept_and_none_is_drawn(drawn):
    store, outcome, calls = drawn
    store.put("figures/table/strange.png", b"of somebody else")
    assert figures.whole(outcome, store) == {"a.png": b"A", "b.pdf": b"B", "c.csv": b"C"} and not calls


def test_a_damaged_one_is_drawn_again_or_left_out_with_a_note(drawn, capsys):
    store, outcome, calls = drawn
    store.put("figures/table/a.png", b"?")
    store.put("figures/table/b.pdf", b"?")
    assert figures.whole(outcome, store) == {"a.png": b"A", "c.csv": b"C"} and calls == [True], "and no more than were"
    said = capsys.readouterr().err
    assert said == "note: figures/table/a.png does not verify (2 of 3): drawn again, or left out\n"


def test_without_what_they_are_known_by_the_usual_ones_are_drawn(drawn):
    store, outcome, calls = drawn
    store.put("figures/table.json", b"{")
    assert figures.whole(outcome, store) == {"a.png": b"A", "c.csv": b"new", "e.png": b"E"} and calls == [False]


NAMES = [
    *(f"plane_{name}_R{R}_{x}ty" for R in ("0", "250000") for name in ("tail_count", "mine") for x in (20, 200)),
    *(f"systematics_{x}ty" for x in (20, 200)), "p_against_exposure", "t3_against_mass", "leakage", "roc", "sic",
    "confusion", "posterior_predictive_a", "elbo_energy_a", "latent_a", "reconstruction_a",
    *(f"q_{statistic}_R{R}_200ty" for R in ("0", "250000") for statistic in ("tail_count", "mine")),
    *(f"scores_R{R}" for R in ("0", "1", "250000")), "of_another_kind",
]  # fmt: skip


def test_a_dozen_of_the_headline_are_drawn_unless_all_are_asked_for():
    row = {"statistic": "tail_count", "R": 2.5e5, "exposure_ty": 200.0}
    shown = figures.usual(NAMES, row)
    assert shown == [
        "plane_tail_count_R250000_200ty", "p_against_exposure", "t3_against_mass", "scores_R0", "scores_R250000",
        "q_tail_count_R250000_200ty", "roc", "leakage", "systematics_200ty", "confusion", "posterior_predictive_a",
        "elbo_energy_a",
    ] and len(shown) == figures.MOST  # fmt: skip
    assert sorted(figures.in_order(NAMES)) == sorted(NAMES) and figures.in_order(NAMES)[-1] == "of_another_kind"


def test_a_headline_that_looks_at_no_score_has_its_own():
    row = {"statistic": "count", "R": None, "exposure_ty": 20.0}
    shown = figures.usual([*NAMES, "plane_count_20ty", "q_count_20ty"], row)
    assert shown[0] == "plane_count_20ty" and "q_count_20ty" in shown and "systematics_20ty" in shown
