"""What other tools make of a finished scan: they accept the files, and find in them the numbers that the table has."""

import json
import re
import shlex
import sys
import tarfile
from pathlib import Path

import hist
import matplotlib
import mplhep
import numpy as np
import pyhf
import pytest
import uhi.io.json
import uhi.schema
import yaml
from hepdata_validator.full_submission_validator import FullSubmissionValidator
from scipy.special import gammaln
from scipy.stats import norm, poisson
from studies import STUDIES

from engine import study
from engine.errors import BadInput
from engine.report.formats import _counting, hepdata, hs3
from engine.report.formats import hist as hist_format
from engine.report.formats import pyhf as pyhf_format
from engine.run import pipeline
from engine.store.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # in hepdata_validator
COUNTED = STUDIES / "counted.toml"
DOCS = Path(__file__).parents[3] / "docs" / "pages" / "files.md"


def at_benchmark(outcome, statistic, exposure_ty):
    (row,) = (row for row in outcome.table.to_pylist() if row["sigma_si_cm2"] == 6.5e-48
              and (row["statistic"], row["exposure_ty"]) == (statistic, exposure_ty))  # fmt: skip
    return row


@pytest.fixture(scope="module")
def workspaces(outcome):
    """pyhf's, by statistic and exposure; to construct one validates it."""
    made = pyhf_format.files(outcome, "counted")
    return {(name.split("_")[0], ty): pyhf.Workspace(json.loads(made[f"{name}_{ty}ty.json"]))
            for name in ("tail_count_R0", "count") for ty in (20, 50)}  # fmt: skip


def prior_predictive_z(workspace, q, n=4000):
    """Z of q events under the background of a workspace, its nuisances drawn from their constraints."""
    model, rng = workspace.model(), np.random.default_rng(1)
    drawn = rng.standard_normal((n, model.config.npars))
    drawn[:, model.config.poi_index] = 0.0
    means = np.array([float(model.expected_actualdata(one)[0]) for one in drawn])
    return norm.isf(poisson.sf(q - 1, np.maximum(means, 0.0)).mean())


def profiled_z(workspace, q):
    """Z of q events by the root of pyhf's q_0, asymptotically."""
    model = workspace.model()
    return norm.isf(float(pyhf.infer.hypotest(0.0, [q, *model.config.auxdata], model, test_stat="q0")))


@pytest.mark.parametrize(("statistic", "name"), [("tail", "tail_count"), ("count", "count")])
@pytest.mark.parametrize("exposure_ty", [20, 50])
def test_a_workspace_has_the_significance_of_its_row(outcome, workspaces, statistic, name, exposure_ty):
    """Averaged over the nuisances as the null here is; and profiled, where half an event goes for the discreteness of
    P(N >= q), and an average over rates is no maximum over them."""
    row, workspace = at_benchmark(outcome, name, exposure_ty), workspaces[statistic, exposure_ty]
    assert prior_predictive_z(workspace, row["q_median"]) == pytest.approx(row["z_exact"], abs=0.04)
    assert profiled_z(workspace, row["q_median"] - 0.5) == pytest.approx(row["z_exact"], abs=0.1)


def test_a_workspace_names_every_nuisance_of_the_null(outcome, workspaces):
    model = workspaces["tail", 20].model()
    moved = {"mu", "leakage", "pool_ER", "pool_xe124_ec", "rate_er_solar", "rate_xe124_ec"}
    assert moved <= set(model.config.par_order)
    assert not any(name.startswith("pool_") for name in workspaces["count", 20].model().config.par_order)
    row = at_benchmark(outcome, "count", 20)
    nominal = [float(name == "mu") for name in workspaces["count", 20].model().config.par_order]
    expected = float(workspaces["count", 20].model().expected_actualdata(nominal)[0])
    assert expected == pytest.approx(row["n_background"] + row["n_signal"], rel=1e-3)


def test_a_kind_without_a_pool_event_is_still_expected(outcome):
    """One event of mean weight, as the null has it; without an error of the pool there is none."""
    null = outcome.population.null(0.0, 20.0)
    none = np.zeros(len(null.drawn.events), bool)
    (made,) = _counting._samples(null, none, ("ER", "NR"), ((0.0, 2.0), (0.0, 0.0)))
    assert made.name == "unseen_ER" and made.expected == pytest.approx(2 * np.exp(-np.euler_gamma))
    assert made.factors["pool_ER"] == pytest.approx(np.pi / np.sqrt(6))
    assert not list(_counting._samples(null, none, ("ER", "NR"), ()))


def test_hs3_says_the_same_likelihood_as_pyhf(outcome, workspaces):
    made, rng = hs3.files(outcome, "counted"), np.random.default_rng(2)
    for (statistic, ty), workspace in workspaces.items():
        document = json.loads(made[f"{'tail_count_R0' if statistic == 'tail' else 'count'}_{ty}ty.json"])
        model = workspace.model()
        for mu in (0.0, 0.3, 1.0, 2.0):
            values = rng.normal(0, 1.3, model.config.npars)  # both sides of 1, where an interpolation changes
            values[model.config.poi_index] = mu
            named = dict(zip(model.config.par_order, values, strict=True))
            assert log_likelihood(document, named) == pytest.approx(
                float(model.logpdf(values, workspace.data(model))[0]), abs=1e-8
            )


def test_hs3_refers_to_what_it_has(outcome):
    document = json.loads(hs3.files(outcome, "counted")["count_20ty.json"])
    (likelihood,), (analysis,) = document["likelihoods"], document["analyses"]
    named = {part: {one["name"] for one in document[part]} for part in
             ("distributions", "data", "domains", "parameter_points", "likelihoods")}  # fmt: skip
    assert set(likelihood["distributions"]) == named["distributions"] and set(likelihood["data"]) == named["data"]
    assert {analysis["likelihood"]} == named["likelihoods"] and set(analysis["domains"]) == named["domains"]
    assert {analysis["init"]} == named["parameter_points"]
    ranges = {one["name"]: one for one in document["domains"][0]["axes"]}
    start = {one["name"]: one["value"] for one in document["parameter_points"][0]["parameters"]}
    assert ranges.keys() == start.keys() and "mu" in start
    assert all(ranges[name]["min"] <= value <= ranges[name]["max"] for name, value in start.items())


def log_likelihood(document, values):
    """Of the one likelihood of an HS3 document, by the standard's text: Poisson, and a unit Gaussian per nuisance."""
    (channel,), (data,) = document["distributions"], document["data"]
    mean, constrained = 0.0, set()
    for sample in channel["samples"]:
        (expected,), factor = sample["data"]["contents"], 1.0
        for modifier in sample["modifiers"]:
            value = values[modifier["parameter"]]
            if modifier["type"] == "normfactor":
                factor *= value
                continue
            constrained.add(modifier["parameter"])
            if modifier["type"] == "normsys":
                factor *= code4(value, modifier["data"]["hi"], modifier["data"]["lo"])
            else:
                (hi,), (lo,) = (modifier["data"][end]["contents"] for end in ("hi", "lo"))
                nominal = sample["data"]["contents"][0]
                assert hi - nominal == pytest.approx(nominal - lo), "else the interpolation is no line"
                expected += value * (hi - lo) / 2
        mean += expected * factor
    (n,) = data["contents"]
    continuous = n * np.log(mean) - mean - gammaln(n + 1)
    return continuous + sum(norm.logpdf(values[name]) for name in constrained)


def code4(alpha, hi, lo):
    """HistFactory's interpolation 4: exponential beyond one sigma, within a polynomial of order 6 that joins it with
    two derivatives."""
    if abs(alpha) >= 1:
        return hi**alpha if alpha > 0 else lo**-alpha
    rows, right = [], []
    for a, base in ((1.0, hi), (-1.0, lo)):
        powers, log = np.arange(1, 7), np.log(base)
        rows += [a**powers, powers * a ** (powers - 1), powers * (powers - 1) * a ** (powers - 2.0)]
        right += [base - 1, a * log * base, log**2 * base]
    return 1 + np.linalg.solve(np.array(rows), right) @ alpha ** np.arange(1, 7)


def test_histograms_are_taken_by_hist_and_drawn_by_mplhep(outcome):
    made = hist_format.files(outcome, "counted")
    assert set(made) == {"templates_R0_20ty.json", "templates_R0_50ty.json"}
    content = json.loads(made["templates_R0_20ty.json"])
    uhi.schema.validate(content)
    read = json.loads(made["templates_R0_20ty.json"], object_hook=uhi.io.json.object_hook)
    histograms = {name: hist.Hist(one) for name, one in read.items()}
    population = outcome.population
    assert {*population.names, "background", "signal_50GeV"} == set(histograms)
    background, weights = histograms["background"], population.weights.sum(axis=0) * 20
    assert background.values().sum() == pytest.approx(population.n_background(20.0))
    assert background.variances().sum() == pytest.approx(np.square(weights).sum())
    parts = sum(histograms[name].values() for name in population.names)
    np.testing.assert_allclose(background.values(), parts, rtol=1e-9, atol=1e-12)
    assert background.axes[0].name == "TS" and content["background"]["metadata"]["exposure_ty"] == 20
    figure, axes = matplotlib.pyplot.subplots()
    assert mplhep.histplot(background, ax=axes)
    matplotlib.pyplot.close(figure)


@pytest.fixture(scope="module")
def submission(store, outcome, tmp_path_factory):
    """The tables of a scan that seeks T3, too, as HEPData's documents by their names; and their folder."""
    settings = ("reach.enabled=true", "backgrounds.leakage.factor=1", "grid.exposure_ty.values=[20]")
    seeking = pipeline.run(study.load(str(COUNTED), settings), store, workers=0)
    folder = tmp_path_factory.mktemp("hepdata")
    for name, content in hepdata.files(seeking, "counted").items():
        (folder / name).write_bytes(content)
    return seeking, folder


def test_hepdata_takes_the_submission(submission):
    _, folder = submission
    validator = FullSubmissionValidator()
    assert validator.validate(directory=str(folder)), validator.get_messages()
    head, *tables = yaml.safe_load_all((folder / "submission.yaml").read_text())
    assert "simulated, no data" in head["comment"]
    assert [table["name"] for table in tables] == ["Plane 1 tail_count_R0", "Plane 2 count", "Limits", "T3"]
    (folder / "count.yaml").write_text("dependent_variables: 3")
    assert not FullSubmissionValidator().validate(directory=str(folder)), "a validator that takes everything"
    (folder / "count.yaml").unlink()


def variables(folder, name):
    content = yaml.safe_load((folder / name).read_text())
    return {one["header"]["name"]: one for part in content.values() for one in part}


def test_a_table_of_the_plane_has_the_rows_with_their_errors(submission):
    seeking, folder = submission
    made = variables(folder, "plane_1_tail_count_r0.yaml")
    rows = [row for row in seeking.table.to_pylist() if row["statistic"] == "tail_count"]
    assert len(rows) == len(made["p_median"]["values"]) > 1
    for i, row in enumerate(rows):
        for name in ("m_chi_GeV", "sigma_si_cm2", "exposure_ty", "p_median", "z_exact", "n_background"):
            assert made[name]["values"][i]["value"] == pytest.approx(row[name], rel=1e-4)
    benchmark = next(i for i, row in enumerate(rows) if row["z_pool_error"] is not None)
    (error,) = made["z_exact"]["values"][benchmark]["errors"]
    assert error == {"label": hepdata.POOL, "symerror": pytest.approx(rows[benchmark]["z_pool_error"], rel=1e-4)}
    shared = {one["name"]: one["value"] for one in made["z_exact"]["qualifiers"]}
    said = {"statistic": "tail_count", "R": "0", "rates": "prior_predictive", "leakage_known": 1.0}
    assert said.items() <= shared.items()
    assert made["m_chi_GeV"]["header"]["units"] == "GeV" and made["sigma_si_cm2"]["header"]["units"] == "cm2"


def test_limits_and_t3_have_a_table_each(submission):
    seeking, folder = submission
    limits, reach = variables(folder, "limits.yaml"), variables(folder, "t3.yaml")
    known = seeking["limits"].table.to_pylist()
    assert [one["value"] for one in limits["sigma_si_90_cm2"]["values"]] == pytest.approx(
        [row["sigma_si_90_cm2"] for row in known], rel=1e-4)  # fmt: skip
    sought = seeking["reach"].table.to_pylist()
    assert [one["value"] for one in reach["statistic"]["values"]] == [row["statistic"] for row in sought]
    for row, value in zip(sought, reach["t3_ty"]["values"], strict=True):
        assert value["value"] == (hepdata.NONE if row["t3_ty"] is None else pytest.approx(row["t3_ty"], rel=1e-4))


def test_toys_have_an_interval(outcome):
    """A p that toys count has an asymmetric error; what a law says exactly has none."""
    rows = [{"p_low": 0.1, "p_median": 0.2, "p_high": 0.4}]
    (interval,) = hepdata._interval(rows, ("p_low", "p_high"), "p_median")
    assert interval == pytest.approx((-0.1, 0.2))
    (z,) = hepdata._z(rows)
    assert z["z_low"] == pytest.approx(norm.isf(0.4)) and z["z_high"] == pytest.approx(norm.isf(0.1))


def test_without_its_library_hepdata_is_refused_in_one_line(outcome, monkeypatch):
    monkeypatch.setitem(sys.modules, "hepdata_lib", None)
    with pytest.raises(BadInput, match=r"need hepdata_lib: pip install 'recoilscan\[export\]'"):
        hepdata.files(outcome, "counted")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--as", "hepdat", "--into", "new"), "unknown format 'hepdat'; did you mean 'hepdata'"),
        (("--as", "pyhf", "--into", "full"), "is there already; nothing is written over"),
        (("--as", "models", "--into", "full"), "is there already; nothing is written over"),
        (("--as", "pyhf", "--into", "no/where"), "there is no folder 'no'"),
        (("--as", "pyhf", "--into", "new", "--set", "seed=8"), "no finished table of this study"),
        (("--as", "models", "--into", "new", "--set", "seed=8"), "of 17 fits and scores of this study are not in"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_writes_nothing(run_here, store, tmp_path, arguments, said):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    done = run_here("export", COUNTED, *arguments, "--store", store.uri, check=2)
    assert said in done.stderr and done.stderr.count("\n") == 1 and not done.stdout
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine"]


def test_a_study_that_counts_nothing_and_a_comparison_are_refused(run_here, tmp_path, outcome, monkeypatch):
    monkeypatch.setitem(vars(outcome.plan), "wanted", [(0.0, "excess_scan")])
    with pytest.raises(BadInput, match="neither 'count' nor 'tail_count'"):
        _counting.countings(outcome)
    done = run_here("export", STUDIES / "pairs.toml", "--as", "pyhf", "--into", "new", check=2)
    assert "compares pairs of models" in done.stderr and done.stderr.count("\n") == 1


def test_fits_and_pool_serve_another_store(run_here, store, tmp_path):
    """There a scan of the study with another grid fits nothing and scores nothing, and ends with the same bytes."""
    run_here("export", COUNTED, "--as", "models", "--into", "fits.tar", "--store", store.uri)
    with tarfile.open(tmp_path / "fits.tar") as tar:
        assert {Path(one.name).suffix for one in tar} == {".json", ".safetensors", ".parquet"}
    assert "17 of them new" in run_here("import", "fits.tar", "--store", tmp_path / "b").stdout
    assert "0 of them new" in run_here("import", "fits.tar", "--store", tmp_path / "b").stdout
    wider = study.load(str(COUNTED), ("grid.sigma_si_cm2.values=[1e-48]", "grid.exposure_ty.values=[30]"))
    there = pipeline.run(wider, Store(str(tmp_path / "b")), workers=0)
    here = pipeline.run(wider, store, workers=0)
    assert there.computed["models"] == there.computed["scores"] == 0 < there.computed["cells"]
    assert Path(there.path).read_bytes() == Path(here.path).read_bytes()


def blocks(kind):
    """The examples of the page, with the study and the files that there are here in the place of its own."""
    text = DOCS.read_text().replace("quickstart", str(COUNTED)).replace("R250000_200ty", "R0_20ty")
    return re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)


def test_every_example_of_the_page_works(run_here, store, tmp_path, monkeypatch):
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("recoilscan ")]
    assert len(lines) >= 6
    for line in lines:
        command, *words = shlex.split(line, comments=True)[1:]
        where = [] if "--store" in words else ["--store", store.uri]
        run_here(command, *words, *where)
    monkeypatch.chdir(tmp_path)
    examples = blocks("python")
    assert len(examples) >= 4
    for example in examples:
        exec(compile(example, str(DOCS), "exec"), {})
    matplotlib.pyplot.close("all")
