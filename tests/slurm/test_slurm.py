"""Batch scripts of `launch --slurm` on a real Slurm: cut by the wall time, queued again, the bytes of a scan here."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from slurm_cluster import LOCAL, SlurmCluster

from engine import study as studies
from engine.launch import identity
from engine.launch.command import Command
from engine.run import pipeline
from engine.store.store import Store

PATIENCE_S = 900.0  # beside other tests on two cores
# A statistic of a user's: the count, for which a job waits as long as a file is there.
MINE = """
import os
import time
from pathlib import Path
from engine.inference.teststats.count import *
from engine.inference.teststats.count import Count

EXACT = False


HOLD = Path({hold!r})


def prepare(null, options):
    job = os.environ.get("SLURM_ARRAY_JOB_ID", os.environ.get("SLURM_JOB_ID"))
    while job and HOLD.exists():
        HOLD.with_name(f"waiting-{{job}}").touch()
        time.sleep(0.1)
    return Count(null)
"""
SMALL = (
    "events.train_per_kind=100", "events.test_per_kind=100", "pool.er_events=1000", "pool.nr_events=1000",
    "toys.null=1000", "toys.signal=1000", "toys.exact='none'", "grid.exposure_ty.values=[5]",
    "grid.m_chi_GeV.values=[50]", "grid.sigma_si_cm2.values=[1e-48,1e-47]", "models.vae.epochs=1",
    "models.classifier.epochs=1", "limits.enabled=false", "toys.statistics=['count','mine']",
)  # fmt: skip


@dataclass
class Job:
    """A launched study: what is asked of Slurm for it, and where it works."""

    cluster: SlurmCluster
    settings: tuple[str, ...]
    folder: Path
    asked: tuple[str, ...]
    tiny: Path

    @property
    def study(self):
        return studies.load(str(self.tiny), self.settings)

    @property
    def name(self) -> str:
        return identity.job_name(self.study, "slurm")

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def logs(self) -> list[str]:
        return [path.read_text() for path in sorted((self.store / "slurm").glob("*.log"))]

    def launch(self, *words: str, code: int = 0) -> str:
        """What `recoilscan launch` says of it, from where users submit."""
        settings = [word for one in self.settings for word in ("--set", one)]
        command = [sys.executable, "-m", "engine", "launch", self.tiny, "--slurm", "--store", self.folder / "store"]
        done = subprocess.run(
            self.cluster.inside(*command, *settings, *words), env=self.cluster.environment, cwd=self.folder,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def until(self, true, what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, f"no {what}: {self.logs}"
            time.sleep(0.5)


def token_of(job: Job) -> str:
    """The token of the Ray that the job has started: of a driver's environment, which root may read."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words, values = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if str(job.store).encode() in words and b"RAY_AUTH_TOKEN=" in values:
            return re.search(rb"RAY_AUTH_TOKEN=(\w+)", values)[1].decode()
    return ""


def shown() -> str:
    """What any user of the machine sees of its processes."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)


def limit(cluster: SlurmCluster, number: str, minutes: int) -> None:
    """Sets a job's wall time."""
    done = cluster.ask("scontrol", "update", f"JobId={number}", f"TimeLimit={minutes}")
    assert done.returncode == 0, done.stderr


def has_run_min(cluster: SlurmCluster, number: str) -> int:
    """Whole minutes that a job has run."""
    run = cluster.ask("squeue", "--noheader", f"--job={number}", "--Format=TimeUsed").stdout.split()[0]
    return int(run.split(":")[-2])


@pytest.fixture(scope="module")
def slurm_jobs(cluster, tiny, tmp_path_factory):
    """A job on two nodes and an array of two elements, both cut while they work, and then ended."""
    folder = tmp_path_factory.mktemp("jobs")
    hold = folder / "hold"
    (folder / "mine.py").write_text(MINE.format(hold=str(hold)))
    hold.touch()
    settings = (*SMALL, f"toys.options.mine={{statistic='{folder}/mine.py'}}")
    jobs = {
        "cluster": Job(cluster, settings, folder, ("--nodes", "2", "--time", "55"), tiny),
        "array": Job(cluster, (*settings, "seed=4"), folder, ("--array", "2", "--time", "0:55:00"), tiny),
    }
    numbers = []
    for job in jobs.values():
        numbers.append(re.search(r"submitted: (\d+)", job.launch(*job.asked))[1])
        job.until((folder / f"waiting-{numbers[-1]}").exists, "statistic that waits")
    token = token_of(jobs["cluster"])
    seen = {"processes": shown(), "job": cluster.ask("scontrol", "show", "job", "--details").stdout}
    for number in numbers:
        limit(cluster, number, has_run_min(cluster, number) + 3)  # two minutes from now, of which Slurm tells it
    for name, job in jobs.items():
        pipeline.run(job.study, Store(str(folder / name)), workers=0)  # here, while the jobs wait
    for job, n_logs in zip(jobs.values(), (1, 2), strict=True):
        job.until(lambda job=job, n=n_logs: sum("requeued 1 times" in log for log in job.logs) == n, "requeue")
    for number in numbers:
        limit(cluster, number, 55)  # else it would be cut again and again
    hold.unlink()
    for job, n_logs in zip(jobs.values(), (1, 2), strict=True):
        job.until(lambda job=job, n=n_logs: sum("ended with exit code" in log for log in job.logs) == n, "end")
    return jobs, token, seen


@pytest.mark.slow
@pytest.mark.parametrize("form", ["cluster", "array"])
def test_it_was_cut_and_ended_with_the_bytes_of_a_scan_here(slurm_jobs, form):
    job = slurm_jobs[0][form]
    for log in job.logs:
        assert log.count("begins on") >= 2 and "requeued 1 times" in log, log
        assert log.splitlines()[-1].endswith("ended with exit code 0")
    (table,), (here,) = ((folder / "tables").iterdir() for folder in (job.store, job.folder / form))
    assert (table.name, table.read_bytes()) == (here.name, here.read_bytes())
    again = "\n".join(log.partition("requeued 1 times")[2] for log in job.logs)
    assert "events: 2 items, 2 reused" in again, "it went on from the store"
    assert not (job.store / "aside").exists()


@pytest.mark.slow
def test_one_element_of_an_array_draws_and_tracks(slurm_jobs):
    first, second = slurm_jobs[0]["array"].logs
    assert "report: " in first and "tracking: " in first
    assert "report: " not in second and "tracking: " not in second and "share 1 of 2" in second


@pytest.mark.slow
def test_two_nodes_worked(slurm_jobs):
    assert re.search(r"begins on n\[\d-\d\]", slurm_jobs[0]["cluster"].logs[0])


@pytest.mark.slow
def test_nothing_is_left_on_a_node(slurm_jobs, cluster):
    for node in cluster.names:
        assert cluster.ask("ls", LOCAL, node=node).stdout.split() == [], node


@pytest.mark.slow
def test_the_token_is_in_the_environment_alone(slurm_jobs):
    jobs, token, seen = slurm_jobs
    assert len(token) == 64
    script = (jobs["cluster"].store / "slurm" / f"{jobs['cluster'].name}.sh").read_text()
    for text in (*seen.values(), script, *jobs["cluster"].logs):
        assert token not in text
    assert str(jobs["cluster"].store) in seen["processes"] and jobs["cluster"].name in seen["job"]


@pytest.mark.slow
def test_slurm_and_then_the_log_know_how_it_ended(slurm_jobs, cluster):
    job = slurm_jobs[0]["array"]
    assert "share 1 of 2" in job.launch("--logs")
    job.until(lambda: not cluster.ask("squeue", "--noheader", "--states=all").stdout, "forgetting")
    assert "state: " in (said := job.launch("--status")) and said.count("ended with exit code 0") == 2
    assert "ended with exit code 0" in slurm_jobs[0]["cluster"].launch("--status")


@pytest.mark.parametrize("asked", [("--nodes", "2"), ("--array", "3"), ("--cpus", "2"), ("--tune", "--nodes", "2")])
def test_slurm_takes_the_script_that_a_dry_run_prints(cluster, tiny, tmp_path, asked):
    job = Job(cluster, SMALL[:-1], tmp_path, asked, tiny)
    script = tmp_path / "job.sh"
    script.write_text(job.launch(*asked, "--time", "1-00:00", "--dry-run"))
    assert not job.store.exists()
    limited = script.read_text().replace("1-00:00", "10")  # what this partition gives
    script.write_text(limited)
    done = cluster.ask("sbatch", "--test-only", script)
    assert done.returncode == 0 and "to start at" in done.stderr, done.stderr
    assert subprocess.run(["bash", "-n", script]).returncode == 0


def test_a_job_that_waits_is_there_once_and_stopped(cluster, tiny, tmp_path):
    job = Job(cluster, (*SMALL[:-1], "seed=5"), tmp_path, (), tiny)
    later = "--sbatch", "begin=now+1hour"
    assert "no job" in job.launch("--status", code=2)
    assert "no log" in job.launch("--logs", code=2)
    assert "submitted" in job.launch(*later)
    assert "is there already" in job.launch(*later) and "PENDING (BeginTime)" in job.launch("--status")
    assert "stopped" in job.launch("--stop") and "nothing to stop" in job.launch("--stop")
    assert "CANCELLED" in job.launch("--status", code=1)


def test_what_sbatch_refuses_is_said_in_one_line(cluster, tiny, tmp_path):
    said = Job(cluster, SMALL[:-1], tmp_path, (), tiny).launch("--sbatch", "partition=nowhere", code=2)
    assert said.startswith("error: sbatch takes it not: ") and "Invalid partition" in said and said.count("\n") == 1


def test_a_tuning_is_a_job_of_its_own(tiny):
    study = studies.load(str(tiny))
    assert identity.job_name(study, "slurm", Command("tune")) != identity.job_name(study, "slurm")
    assert os.path.commonprefix([identity.job_name(study, "slurm"), "scan-slurm-"]) == "scan-slurm-"
