"""The command line as a user meets it: one clear line for a mistake, and where the results are."""

import tomllib

import pytest

from engine.cli.options import stem

BAD = [
    ("--set", "toys.nul=10", "'nul'"),
    ("--set", "grid.m_chi_GeV.values=[-10]", "-10 must be above 0"),
    ("--set", "grid.sigma_si_cm2={log=[0,1e-46],n=3}", "use values for a zero"),
    ("--set", "grid.exposure_ty.values=[]", "exposure_ty"),
    ("--set", "models.vae={name='dens_vae'}", "did you mean 'dense_vae'"),
    ("--store", "/dev/null/store", "store"),
    ("--address", "127.0.0.1:1", "no Ray cluster answers"),
    ("--curve", "nowhere.csv", "nowhere.csv"),
    ("--curve", ".", "is a folder, no file"),
    ("--store", "", "the store '' is no folder"),
    ("--store", "s3:/bucket/x", "write 's3://bucket/x'"),
    ("--store", "gs//bucket", "write 'gs://bucket'"),
    ("--store", "file:/tmp/x", "write 'file:///tmp/x'"),
    ("--store", "nonsense://x", "nonsense://x"),
    ("--tracking", "nonsense://x", "'nonsense://x': expected http://host:5000"),
    ("--tracking", "http:/host:5000", "expected http://host:5000"),
    ("--tracking", "", "expected http://host:5000"),
    ("--tracking", "sqlite:///no/folder/mlflow.db", "there is no folder 'no/folder'"),
    ("--store", "s3:///bucket", "names no bucket"),
    ("--store", "s4://bucket/x", "accepted: a folder, s3://bucket/prefix"),
    ("--store", "file://x/y", "write 'file:///x/y'"),
    ("--set", "grid.exposure_ty=365000", 'confirm = ["exposure_ty"]'),
    ("--set", "grid.m_chi_GeV={log=[10,100],n=2147483648}", "2000000"),
    ("--set", "representation='image'", 'representation = { name = "image" }'),
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("status", "--map", "no/folder/x.png"), "there is no folder 'no/folder'"),
        (("status", "--map", "."), "is a folder; name a file in it"),
        (("status", "--map", "x.gif"), "unknown figure format '.gif' (accepted: pdf, png)"),
        (("tune", "--to", "no/folder/x.toml"), "there is no folder 'no/folder'"),
        (("plot", "--format", "gif"), "unknown figure format 'gif' (accepted: pdf, png)"),
        (("compare", "--format", "gif"), "unknown figure format 'gif'"),
        (("physics", "--format", "gif"), "unknown figure format 'gif'"),
        (("launch", "--manifests", "no/folder"), "there is no folder 'no/folder'"),
        (("track", "--tracking", "nonsense://x"), "expected http://host:5000"),
        (("tune", "--tracking", "sqlite://"), "expected http://host:5000"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_before_any_work(run_here, tiny, tmp_path, arguments, said):
    command, *options = arguments
    done = run_here(command, tiny, *options, check=2)
    assert said in done.stderr and done.stderr.count("\n") == 1 and not done.stdout
    assert not list(tmp_path.iterdir())


def test_a_study_is_not_copied_into_a_folder_that_is_not_there(run_here):
    assert "no folder" in run_here("scans", "copy", "quickstart", "no/mine.toml", check=2).stderr
    assert "did you mean 'quickstart'" in run_here("scans", "copy", "quickstrat", check=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [("scan", "tiny", "--workers", 10**9), ("bench", "--seconds", "nan"), ("bench", "--seconds", "inf"),
     ("gc", "--grace-hours", "nan"), ("physics", "tiny", "--events", 10**12)],
)  # fmt: skip
def test_numbers_out_of_reason_are_refused(run_here, arguments):
    assert "Invalid value" in run_here(*arguments, check=2).stderr


def test_a_name_that_no_store_keeps_is_changed():
    assert [stem(name) for name in ("a/my study-1.toml", "a\nb.toml", "x" * 300 + ".toml", "\u00e9.toml")] == [
        "my study-1", "a_b", "x" * 100, "\u00e9"
    ]  # fmt: skip


def test_a_wrong_option_is_exit_code_2(run_here, tiny):
    assert "No such option" in run_here("scan", tiny, "--worker", 2, check=2).stderr
    assert "--workers" in run_here("scan", tiny, "--workers", -1, check=2).stderr


def test_plot_without_a_scan_says_what_to_do(run_here, tiny):
    done = run_here("plot", tiny, check=2)
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


def test_a_preset_is_named_and_told_again(run_here, tmp_path):
    (tmp_path / "layered.toml").write_text('extends = "quickstart"\n[presets.small]\ntoys.null = 300\n')
    done = run_here("results", "layered.toml", "--preset", "small", check=2)
    assert "--preset small" in done.stderr and "--set" not in done.stderr
    assert "unknown preset 'large'" in run_here("scan", "layered.toml", "--preset", "large", check=2).stderr
    asked = run_here("scan", "layered.toml", "--preset", "small", "--set", "toys.null=5", "--plan", check=2)
    assert "toys.null" in asked.stderr, "what is set wins, and is refused"
