"""The batch script that `launch --slurm` makes: what it asks, what it holds, what is refused before it is written."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from engine import study as studies
from engine.cli.app import app
from engine.cluster import local, nodes
from engine.errors import BadInput
from engine.launch import batch

SECRET = "planted-3f9c"
BODY = Path(batch.__file__).with_name("batch.sh").read_text()


@pytest.fixture
def launch(capsys, tiny, tmp_path, monkeypatch):
    """Runs `recoilscan launch --slurm` on the small study in this process; returns what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> str:
        get_command(app).main(["launch", str(tiny), "--slurm", *map(str, words)], standalone_mode=False)
        return capsys.readouterr().out

    return call


def asked(script: str) -> list[str]:
    """The options of sbatch in a script."""
    return re.findall(r"^#SBATCH --(\S+)$", script, re.MULTILINE)


def words(script: str, name: str) -> list[str]:
    """The words of one of its lists."""
    return shlex.split(re.search(rf"^{name}=\((.*)\)$", script, re.MULTILINE)[1])


@pytest.mark.parametrize(
    ("said", "form", "lines"),
    [
        ((), "local", ["nodes=1"]),
        (("--cpus", 8, "--gpus", 2), "local", ["nodes=1", "cpus-per-task=8", "gpus-per-node=2"]),
        (("--nodes", 4, "--gpus", 8, "--time", "1-12"), "cluster",
         ["nodes=4", "exclusive", "mem=0", "gpus-per-node=2", "time=1-12"]),
        (("--array", 7, "--sbatch", "qos=low"), "array", ["array=1-7", "cpus-per-task=1", "qos=low"]),
        (("--tune", "--nodes", 2), "cluster", ["nodes=2"]),
    ],
)  # fmt: skip
def test_what_is_asked_of_slurm(launch, said, form, lines):
    script = launch(*said, "--dry-run")
    assert not set(lines) - set(asked(script)) and f"\nform={form}\n" in script
    assert {"requeue", "open-mode=append", "ntasks-per-node=1"} < set(asked(script))
    assert ("exclusive" in asked(script)) == (form == "cluster")


def test_the_study_travels_in_the_script_overrides_and_all(launch, tiny, tmp_path):
    script = launch("--set", "toys.null=2000", "--set", """models.vae.name='dense_vae'""", "--dry-run")
    assert script == launch("--set", "toys.null=2000", "--set", """models.vae.name='dense_vae'""", "--dry-run")
    (tmp_path / "said.sh").write_text(script.partition(BODY)[0] + '\nprintf "%s" "$study"')
    text = subprocess.run(["bash", str(tmp_path / "said.sh")], capture_output=True, text=True, check=True).stdout
    (tmp_path / "again.toml").write_text(text)
    there, here = studies.load(str(tmp_path / "again.toml")), studies.load(str(tiny), ("toys.null=2000",))
    assert there == here
    assert words(script, "options") == ["--store", str(tmp_path / "recoilscan-store")]
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0


def test_what_slurm_runs_is_a_command_of_ours(launch, tmp_path):
    (events := tmp_path / "events.csv").write_text("cs1,cs2\n")
    places = "--tracking", "http://ml:5000", "--store", "s3://b/p"
    script = launch("--observe", events, "--unblind", *places, "--dry-run")
    line = ["observe", "study.toml", *words(script, "options")]
    params = get_command(app).commands["observe"].make_context("observe", line[1:]).params
    assert (params["data"], params["unblind"], params["tracking"]) == (events, True, "http://ml:5000")
    assert "\nform=alone\n" in script and f"output={tmp_path}/observe-slurm-" in script


def test_the_variables_of_a_local_ray_are_those_of_the_nodes():
    for name, value in (nodes.ENVIRONMENT | local.PATIENT).items():
        assert re.search(rf"\b{name}={value}\b", BODY), name


def test_no_secret_of_the_environment_is_in_a_script(launch, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, SECRET)
    assert SECRET not in launch("--nodes", 2, "--dry-run")


BAD = [
    (("--time", "2"), "expected 3 minutes at least"),
    (("--time", "0:02:59"), "expected 3 minutes at least"),
    (("--time", "soon"), "expected minutes, H:M:S or D-H:M:S"),
    (("--array", "4", "--nodes", "2"), "no --nodes with it"),
    (("--array", "4", "--cpus", "2"), "no --cpus"),
    (("--array", "4", "--tune"), "--array shares a scan"),
    (("--array", "4", "--set", "training.workers=2"), "an array has none"),
    (("--nodes", "2", "--gpus", "3"), "multiple"),
    (("--set", "training.workers=4", "--set", "training.gpus_per_worker=1", "--gpus", "2", "--nodes", "2"), "4 GPUs"),
    (("--container", "/nowhere.sif"), "no such file"),
    (("--sbatch", "a b"), "such as partition=long"),
    (("--sbatch", "partition=x\n#SBATCH --uid=0"), "such as partition=long"),
    (("--sbatch", "nodes=4"), "see --nodes"),
    (("--sbatch", "output=/x"), "launch says that itself"),
    (("--observe", "/nowhere.csv"), "no such file"),
    (("--unblind",), "goes with --observe"),
    (("--workers", "2"), "--slurm goes without"),
    (("--overlay", "kind"), "--slurm goes without"),
    (("--store", "s3:/b"), "write 's3://b'"),
    (("--store", "http://b/c"), "no bucket"),
    (("--store", "/a b"), "a shell would"),
    (("--tracking", f"http://me:{SECRET}@ml:5000"), "a user, a password or a token"),
    (("--set", "toys.nul=1"), "'nul'"),
    (("--dry-run", "--logs"), "give one"),
]


@pytest.mark.parametrize(("said", "why"), BAD, ids=[" ".join(said)[:40] for said, _ in BAD])
def test_bad_input_is_one_line_and_nothing_is_written(launch, tmp_path, said, why):
    with pytest.raises(BadInput) as error:
        launch(*said)
    assert why in str(error.value) and "\n" not in str(error.value) and SECRET not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_what_is_asked_of_slurm_goes_with_slurm_alone(tiny):
    with pytest.raises(BadInput, match="go with --slurm"):
        get_command(app).main(["launch", str(tiny), "--jobs", "http://h:1", "--nodes", "2"], standalone_mode=False)


def test_no_slurm_is_said(launch, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BadInput, match="no squeue on the path"):
        launch("--status")


def test_a_container_runs_what_would_run_here(launch, tmp_path):
    """The script's body, with programs in the places of Slurm's and Apptainer's that say what they were asked."""
    (image := tmp_path / "r.sif").touch()
    script = launch("--container", image, "--store", tmp_path / "store", "--cpus", 3, "--dry-run")
    (programs := tmp_path / "bin").mkdir()
    for name, text in {
        "srun": 'while [ "${1#-}" != "$1" ]; do shift; done; SLURM_PROCID=0 exec "$@"',
        "apptainer": f'echo "apptainer $*" | head -1 >> {tmp_path}/asked\n'
                     f'until [ "$1" = {image} ]; do shift; done; shift; exec "$@"',
        "python": f'echo "python $*" >> {tmp_path}/asked; [ -s "$4" ] && exit 3',
        "scancel": "true",
    }.items():
        (programs / name).write_text(f"#!/bin/bash\n{text}\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        ["bash", "-s"], input=script, capture_output=True, text=True, cwd=tmp_path,
        env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "1",
                          "SLURM_JOB_NODELIST": "n1", "SLURM_CPUS_PER_TASK": "3", "SLURM_CPUS_ON_NODE": "4",
                          "RAY_TMPDIR": "/too/long/for/a/socket"},
    )  # fmt: skip
    store = words(script, "options")[1]
    entered, ran = (tmp_path / "asked").read_text().splitlines()
    assert entered.startswith(f"apptainer exec --bind {store} {image} bash -c")
    made = re.fullmatch(rf"python -m engine scan (/tmp/rs-7-\w+)/tiny\.toml --store {store} --workers 3", ran)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, "recoilscan: job 7 ended with exit code 3"), done
    assert not Path(made[1]).exists(), "the temporary folder is gone"
