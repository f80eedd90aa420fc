"""A Slurm of the test's own: each of its nodes has a network, process numbers, a name and local files of its own."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "unshare", "nsenter", "ip", "mount")
UNSHARE = ("unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child")
LOCAL = "/media"  # of a node alone: a short path, which every Debian has
PATIENCE_S = 120.0
CONFIGURATION = """
ClusterName=test
SlurmctldHost=control(10.77.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/control.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/control.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
ReturnToService=2
MinJobAge=10
KillWait=5
SlurmdParameters=config_overrides
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=60 State=UP
"""


def reason_against() -> str:
    """Why no Slurm can be started here; nothing where one can."""
    if os.geteuid() != 0:
        return "a Slurm of its own needs root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)}: apt install slurm-wlm munge"
    tried = subprocess.run([*UNSHARE, "ip", "link", "add", "e0", "type", "veth", "peer", "e1"],
                           capture_output=True, text=True)  # fmt: skip
    return f"no namespaces with networks here: {tried.stderr.strip()}" if tried.returncode else ""


class SlurmCluster:
    """munged, a controller and `n_nodes` nodes of two CPUs; `start` before anything else, `stop` at the end."""

    def __init__(self, folder: Path, n_nodes: int):
        self.folder, self.names = folder, [f"n{number}" for number in range(1, n_nodes + 1)]
        self.first: dict[str, int] = {}  # the first process of each namespace, which takes the others with it
        self.outer: list[subprocess.Popen] = []
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "RAY_TMPDIR": LOCAL}

    def start(self) -> None:
        """Starts it, and waits until its nodes are idle."""
        addresses = {name: f"10.77.0.{number}" for number, name in enumerate(self.names, start=2)}
        nodes = [f"NodeName={name} NodeAddr={at} CPUs=2 RealMemory=4000" for name, at in addresses.items()]
        for name in ("state", *self.names):
            (self.folder / name).mkdir()
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(folder=self.folder, nodes="\n".join(nodes)))
        lines = ["127.0.0.1 localhost", "10.77.0.1 control", *(f"{at} {name}" for name, at in addresses.items())]
        (self.folder / "hosts").write_text("\n".join(lines) + "\n")
        self._start_munge()
        self._namespace("control", "slurmctld -D")
        for name in self.names:
            self._namespace(name, f"slurmd -D -N {name}")
        self._connect(addresses)
        self._until(lambda: self.ask("sinfo", "--noheader", "--format=%D %t").stdout.strip()
                    == f"{len(self.names)} idle", "nodes that are idle")  # fmt: skip

    def stop(self) -> None:
        """Ends every process of it."""
        for pid in self.first.values():
            os.kill(pid, signal.SIGKILL)
        for process in self.outer:
            process.terminate()
            process.wait()

    def inside(self, *words: object, node: str = "control") -> list[str]:
        """A command line that runs another on a node: of the control, from where users submit, in its network alone."""
        space = ["--net"] if node == "control" else ["--net", "--mount", "--uts", "--pid"]
        return ["nsenter", f"--target={self.first[node]}", *space, "--", *map(str, words)]

    def ask(self, *words: object, node: str = "control") -> subprocess.CompletedProcess:
        """What a program says there."""
        return subprocess.run(self.inside(*words, node=node), env=self.environment, capture_output=True, text=True)

    def _start_munge(self) -> None:
        (self.folder / "munge.key").write_bytes(os.urandom(1024))
        (self.folder / "munge.key").chmod(0o400)
        files = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munge.pid", "log-file": "munge.log",
                 "seed-file": "munge.seed"}  # fmt: skip
        options = [f"--{option}={self.folder / name}" for option, name in files.items()]
        self._spawn("munged", "--foreground", "--force", *options)
        self._until((self.folder / "munge.sock").exists, "munged")

    def _namespace(self, name: str, daemon: str) -> None:
        """A daemon that starts once its network is there, with the process number 1 of its own kind."""
        steps = ["mount --make-rprivate /", f"mount --bind {self.folder}/hosts /etc/hosts",
                 f"mount -t tmpfs tmpfs {LOCAL}", "mount -t tmpfs tmpfs /dev/shm", f"hostname {name}",
                 "ip link set lo up", "until ip -4 addr | grep -q 10[.]77; do sleep 0.1; done"]  # fmt: skip
        # a shell as the first process, since it buries those whose parents have ended, for which Ray would wait
        process = self._spawn(*UNSHARE, "bash", "-c", " && ".join([*steps, f"{{ {daemon} & wait; }}"]), name=name)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        self._until(lambda: children.read_text().strip(), f"the namespace of {name}")
        self.first[name] = int(children.read_text())

    def _connect(self, addresses: dict[str, str]) -> None:
        """A switch in the controller's network, with a line to every node."""
        self._ip("control", "link add switch type bridge")
        for name, address in addresses.items():
            self._ip("control", f"link add to-{name} type veth peer name e0 netns {self.first[name]}")
            self._ip("control", f"link set to-{name} master switch up")
            self._ip(name, f"addr add {address}/24 dev e0")
            self._ip(name, "link set e0 up")
        self._ip("control", "link set switch up")
        self._ip("control", "addr add 10.77.0.1/24 dev switch")

    def _ip(self, node: str, words: str) -> None:
        command = ["nsenter", f"--target={self.first[node]}", "--net", "ip", *words.split()]
        subprocess.run(command, check=True, capture_output=True)

    def _spawn(self, *words: str, name: str = "munged") -> subprocess.Popen:
        with (self.folder / f"{name}.out").open("w") as out:
            process = subprocess.Popen(words, env=self.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.outer.append(process)
        return process

    def _until(self, true, what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not true():
            assert time.monotonic() < end, f"no {what}: {self._logs()}"
            time.sleep(0.2)

    def _logs(self) -> str:
        files = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
        return "\n".join(f"{path.name}: {path.read_text()[-500:]}" for path in files)
