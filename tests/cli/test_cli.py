"""The command line as a user meets it: one clear line for a mistake, and where the results are."""

import tomllib

import pytest

BAD = [
    ("--set", "toys.nul=10", "'nul'"),
    ("--set", "grid.m_chi_GeV.values=[-10]", "-10 must be above 0"),
    ("--set", "grid.sigma_si_cm2={log=[0,1e-46],n=3}", "use values for a zero"),
    ("--set", "grid.exposure_ty.values=[]", "exposure_ty"),
    ("--set", "models.vae={name='dens_vae'}", "did you mean 'dense_vae'"),
    ("--store", "/dev/null/store", "store"),
    ("--address", "127.0.0.1:1", "no Ray cluster answers"),
    ("--overlay", "nowhere.csv", "nowhere.csv"),
]


@pytest.mark.parametrize(("option", "value", "said"), BAD)
def test_bad_input_is_one_line_and_exit_code_2_before_any_work(run_here, tiny, tmp_path, option, value, said):
    done = run_here("scan", tiny, option, value, check=2)
    assert said in done.stderr and done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1 and not done.stdout
    assert "Traceback" not in done.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not left, "nothing was started"


def test_an_unknown_study_is_one_line(recoilscan):
    done = recoilscan("scan", "quickstrat", check=2)
    assert "did you mean 'quickstart'" in done.stderr and done.stderr.count("\n") == 1


def test_a_wrong_option_is_exit_code_2(run_here, tiny):
    assert "No such option" in run_here("scan", tiny, "--worker", 2, check=2).stderr
    assert "--workers" in run_here("scan", tiny, "--workers", -1, check=2).stderr


def test_plot_without_a_scan_says_what_to_do(recoilscan, tiny):
    done = recoilscan("plot", tiny, check=2)
    assert "recoilscan scan" in done.stderr and done.stderr.count("\n") == 1


def test_status_of_nothing(run_here, tiny):
    done = run_here("status", tiny)
    assert "done 0" in done.stdout and "none yet" in done.stdout


def test_lists(run_here):
    assert "dense_vae" in run_here("zoo", "list").stdout
    assert "quickstart" in run_here("scans", "list").stdout


def test_a_copied_study_is_a_study(run_here, tmp_path):
    run_here("scans", "copy", "quickstart", "mine.toml")
    assert tomllib.loads((tmp_path / "mine.toml").read_text())["toys"]["null"] == 10_000
    done = run_here("scans", "copy", "quickstart", "mine.toml", check=2)
    assert "nothing was overwritten" in done.stderr


def test_version(recoilscan):
    assert recoilscan("--version").stdout.startswith("recoilscan 0.")
