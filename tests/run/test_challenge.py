"""A challenge: lists that hold what the answer says, told by nothing, and judgements with known values."""

import csv
import hashlib
import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy import stats
from studies import STUDIES, TINY

from engine import study
from engine.errors import BadInput
from engine.physics import event_list
from engine.physics.representations import vector
from engine.plan.plan import Plan
from engine.report import challenge as report
from engine.report import physics_report
from engine.run import challenge, judgement
from engine.store import sealed

PARSED, EXPOSURE_TY, N = study.load(STUDIES / "seen.toml", ("grid.m_chi_GeV=[3.5,30,60]",)), 0.3, 30


def make(folder, seed, n_lists=N, parsed=PARSED, exposure_ty=EXPOSURE_TY):
    answer = folder.with_suffix(".json")
    rates = challenge.make(parsed, folder, answer, exposure_ty, n_lists, seed)
    return folder, answer, rates


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A challenge of many lists: its folder, its answer's file, the rates that it says."""
    return make(tmp_path_factory.mktemp("challenges") / "one", 8)


@pytest.fixture(scope="module")
def truth(made):
    """What is hidden."""
    return sealed.parsed(challenge.Answer, made[1].read_bytes()).lists


def test_the_folder_has_lists_and_digests_and_no_answer(made, truth):
    folder, answer, _ = made
    known = json.loads((folder / "challenge.json").read_text())["content"]
    assert known["answer_sha256"] == hashlib.sha256(answer.read_bytes()).hexdigest()
    assert list(known["lists"]) == [one.name for one in truth] and len(truth) == N
    names = {path.name for path in folder.iterdir()}
    others = {"training.parquet", "background.parquet", "calibration_er.csv", "calibration_nr.csv", "challenge.json"}
    assert names == others | set(known["lists"])
    for one in truth:
        seen = event_list.read(folder / one.name, PARSED.detector.constants, needed=("drift_us",))
        assert len(seen) == one.n_events
    for kind in ("er", "nr"):
        assert len(event_list.read(folder / f"calibration_{kind}.csv", PARSED.detector.constants)) == 200


def test_lists_hold_backgrounds_and_signals_as_many_as_are_expected(made, truth):
    expected = sum(rate.expected for rate in made[2])
    spread = math.hypot(*(rate.expected * rate.relative_uncertainty for rate in made[2]))
    backgrounds = np.array([one.n_events - one.n_signal for one in truth])
    assert abs(backgrounds.mean() - expected) < 3 * math.sqrt((expected + spread**2) / N)
    with_signal = [one for one in truth if one.has_signal]
    assert abs(len(with_signal) - N / 2) < 3 * math.sqrt(N / 4)
    n_expected = sum(one.n_expected for one in with_signal)
    assert abs(sum(one.n_signal for one in with_signal) - n_expected) < 3 * math.sqrt(n_expected)
    assert all(one.n_signal == 0 and one.m_chi_GeV is None for one in truth if not one.has_signal)
    assert {one.m_chi_GeV for one in with_signal} == {30.0, 60.0}  # recoils of 3.5 GeV are not seen
    factor = np.array([one.n_expected for one in with_signal])
    assert factor.max() / factor.min() <= 4.0


def test_rates_are_those_of_the_study(made):
    """Against the physics report, which weighs events that are thrown uniformly in energy."""
    samples = [physics_report.throw(Plan(PARSED), kind, 10_000) for kind in ("ER", "NR")]
    names = [part for part in physics_report.components(PARSED) if part.name in ("betas", "pp", "atm")]
    rows = physics_report.rates(Plan(PARSED), names, physics_report.benchmark(PARSED), physics_report.pool(samples))
    found = {rate.name: rate.expected / EXPOSURE_TY for rate in made[2]}
    for row in (row for row in rows if row.name in found):
        error = math.hypot(row.error_per_ty, 0.01 * row.per_ty)  # of the pilot: 10000 events, half of them selected
        assert abs(found[row.name] - row.per_ty) < 4 * error, row.name


def test_training_events_have_their_truth(made):
    folder = made[0]
    training = pq.read_table(folder / "training.parquet").to_pandas()
    assert set(training["kind"]) == {"ER", "NR"} and training["energy_keV"].between(0.3, 25).all()
    selected = training[training["selected"] & training["cs1_pe"].between(20, 60)]
    ratio = np.log10(selected["cs2_pe"] / selected["cs1_pe"]).groupby(selected["kind"]).median()
    assert ratio["ER"] > ratio["NR"] + 0.1
    background = pq.read_table(folder / "background.parquet").to_pandas()
    counts, total = background["component"].value_counts(), sum(rate.expected for rate in made[2])
    for rate in made[2]:
        expected = len(background) * rate.expected / total
        assert abs(counts.get(rate.name, 0) - expected) < 5 * math.sqrt(expected + 1), rate.name


def test_rows_and_seeds_tell_nothing(made, truth, tmp_path):
    folder = made[0]
    places, ratios = [], []
    for one in truth:
        with (folder / one.name).open() as file:
            rows = [[float(cell) for cell in row[:2]] for row in list(csv.reader(file))[1:]]
        places += list(np.arange(len(rows)) / len(rows))
        ratios += [math.log(cs2 / cs1) for cs1, cs2 in rows]
    assert stats.spearmanr(places, ratios).pvalue > 1e-3
    one, again = (make(tmp_path / name, 5, 1) for name in "ab")
    bytes_of = [sorted((path.name, path.read_bytes()) for path in folder.iterdir()) for folder, _, _ in
                (one, again, made)]  # fmt: skip
    assert bytes_of[0] == bytes_of[1] and one[1].read_bytes() == again[1].read_bytes()
    assert not {data for _, data in bytes_of[0]} & {data for _, data in bytes_of[2]}


def answered(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([judgement.COLUMNS, *rows])
    return path


def test_who_knows_nothing_has_the_logarithm_of_one_half(made, truth, tmp_path):
    rows = [(one.name, 1.0, 0.5, 0, 1000) for one in reversed(truth)]
    judged = judgement.judge(made[0], answered(tmp_path / "answers.csv", rows), made[1])
    n_with = sum(one.has_signal for one in truth)
    assert (judged.log_score, judged.error) == pytest.approx((math.log(0.5), 0))
    assert judged.alarms == (0, N - n_with) and judged.found == judged.three_sigma == (0, n_with)
    assert judged.covered == (N, N) and judged.width == 1000 and judged.p_small == 1


def test_who_knows_all_is_told_so_and_who_boasts_is_caught(made, truth, tmp_path):
    rows = [(one.name, 1e-4 if one.has_signal else 0.4, 0.99 if one.has_signal else 0.01, one.n_signal, one.n_signal)
            for one in truth]  # fmt: skip
    judged = judgement.judge(made[0], answered(tmp_path / "answers.csv", rows), made[1])
    n_with = sum(one.has_signal for one in truth)
    assert judged.log_score == pytest.approx(math.log(0.99))
    assert judged.found == judged.three_sigma == (n_with, n_with) and judged.covered == (N, N)
    boasts = [(one.name, 0.01, 0.9, one.n_signal + 1, one.n_signal + 2) for one in truth]
    judged = judgement.judge(made[0], answered(tmp_path / "boasts.csv", boasts), made[1])
    share = n_with / N
    assert judged.log_score == pytest.approx(share * math.log(0.9) + (1 - share) * math.log(0.1))
    assert judged.alarms == (N - n_with, N - n_with) and judged.p_small < 1e-6 and judged.covered == (0, N)
    said = list(report.lines(judged))
    assert f"{N - n_with} of {N - n_with} (1.00 [" in said[1] and f"0 of {N}" in said[-1]


def test_lists_of_a_study_of_waveforms_have_pulses(tmp_path):
    parsed = study.load(TINY, ("events.train_per_kind=100", "pool.er_events=100", "grid.exposure_ty=[1]",
                               "events.test_per_kind=100"))  # fmt: skip
    folder, answer, _ = make(tmp_path / "waves", 2, 1, parsed, 1)
    seen = event_list.read(folder / "search_1.parquet", parsed.detector.constants, needed=vector.COLUMNS)
    features = vector.features(seen.readout, parsed.detector.constants)
    assert len(features) == sealed.parsed(challenge.Answer, answer.read_bytes()).lists[0].n_events > 10
    areas = seen.readout.s2_waveform.sum(axis=1)
    assert np.corrcoef(areas, seen.columns["s2_pe"])[0, 1] > 0.99
    text = report.readme(parsed, "tiny", [], 1, 1)
    assert "`s1_waveform, s2_waveform`" in text and "search_*.parquet" in text


@pytest.mark.parametrize(
    "rows, said",
    [
        ([("search_01.csv", 0, 0.5, 0, 1)], "row 1: p_background must be above 0"),
        ([("search_01.csv", 0.1, 1, 0, 1)], "row 1: p_signal must be above 0 and below 1"),
        ([("search_01.csv", 0.1, 0.5, 3, 1)], "row 1: lower and upper must be numbers of events"),
        ([("search_01.csv", 0.1, 0.5, 0, math.nan)], "row 1: lower and upper must be numbers of events"),
        ([("search_01.csv", "few", 0.5, 0, 1)], "row 1: p_background 'few' is no number"),
        ([("search_77.csv", 0.1, 0.5, 0, 1)], "row 1: 'search_77.csv' is no list of the challenge"),
        ([("search_01.csv", 0.1, 0.5, 0, 1)] * 2, "row 2: 'search_01.csv' is there twice"),
        ([("search_01.csv", 0.1, 0.5, 0, 1)], "no answer for search_02.csv, "),
        ([("search_01.csv", 0.1, 0.5, 0)], "row 1: 4 cells under 5 column names"),
    ],
)
def test_answers_that_cannot_be_are_refused_in_one_line(made, tmp_path, rows, said):
    with pytest.raises(BadInput) as refused:
        judgement.judge(made[0], answered(tmp_path / "answers.csv", rows), made[1])
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_the_commands(run_here, tmp_path):
    one = STUDIES / "seen.toml"
    said = run_here("challenge", one, "--into", "set", "--answer", "answer.json", "--sets", 3).stdout
    assert "challenge: set, 3 search lists of 0.3 t y; answer: answer.json" in said
    page = (tmp_path / "set" / "README.md").read_text()
    assert "| betas | ER | " in page and "name,p_background,p_signal,lower,upper" in page
    answers = answered(tmp_path / "answers.csv", [(f"search_{i}.csv", 0.3, 0.5, 0, 50) for i in (1, 2, 3)])
    judged = run_here("challenge", "set", "--score", answers, "--answer", "answer.json").stdout
    assert "mean of 3 lists: -0.693 +- 0.000" in judged and "3 of 3 (1.00 [" in judged
    (tmp_path / "set" / "search_2.csv").write_text("cs1_pe,cs2_pe\n1,1\n")
    assert "search_2.csv is not as it was made" in run_here(
        "challenge", "set", "--score", answers, "--answer", "answer.json", check=2).stderr  # fmt: skip
    (tmp_path / "other.json").write_bytes((tmp_path / "answer.json").read_bytes() + b" ")
    assert "other.json" in run_here("challenge", "set", "--score", answers, "--answer", "other.json", check=2).stderr
    for arguments, why in (
        ((one, "--into", "set", "--answer", "new.json"), "is there already; a challenge has a new folder"),
        ((one, "--into", "new", "--answer", "answer.json"), "is there already; nothing is written over"),
        ((one, "--into", "new", "--answer", "new/answer.json"), "there is no folder"),
        ((one, "--answer", "new.json"), "needs a study and --into FOLDER"),
        ((one, "--into", "new", "--answer", "new.json", "--set", "grid.exposure_ty=[1,2]"), "the grid has several"),
        ((one, "--into", "new", "--answer", "new.json", "--set", "grid.exposure_ty=[5000]"), "are expected in a list"),
    ):
        assert why in run_here("challenge", *arguments, check=2).stderr
    assert not (tmp_path / "new").exists()
