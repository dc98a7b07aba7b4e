"""A throw-away Slurm of two nodes, `gold6128` and `i7`, both this host."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_NEEDED = ("slurmctld", "slurmd", "sbatch", "sinfo")

_CONF = """
ClusterName=throwaway
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
SelectType=select/cons_tres
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
NodeName=gold6128 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 Feature=gold6128
NodeName=i7 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 Feature=i7
PartitionName=all Nodes=ALL Default=YES State=UP
"""


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Starts it, gives what the environment needs to reach it, and ends it.

    Skips where Slurm is missing.
    """
    _find_slurm()
    (folder / "state").mkdir(parents=True)
    conf = folder / "slurm.conf"
    conf.write_text(
        _CONF.format(
            host=socket.gethostname(),
            ports=[free_port() for _ in range(3)],
            user=os.environ.get("USER") or subprocess.getoutput("id -un"),
            folder=folder,
        )
    )
    environ = {"SLURM_CONF": str(conf)}
    commands = [["slurmctld", "-D"], *(["slurmd", "-D", "-N", n] for n in ("gold6128", "i7"))]
    daemons = [
        subprocess.Popen(
            command,
            env={**os.environ, **environ, "PATH": os.environ["PATH"] + ":/usr/sbin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        for _ in range(300):
            states = subprocess.run(
                ["sinfo", "-h", "-N", "-o", "%t"],
                env={**os.environ, **environ},
                capture_output=True,
                text=True,
            ).stdout.split()
            if states == ["idle", "idle"]:
                break
            time.sleep(0.1)
        else:
            logs = [path.read_text()[-2000:] for path in folder.glob("*.log")]
            pytest.fail("The throw-away Slurm does not start:\n" + "\n".join(logs))
        yield environ
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in daemons:
            daemon.wait(30)


def _find_slurm() -> None:
    path = os.environ["PATH"] + ":/usr/sbin"
    missing = [name for name in _NEEDED if shutil.which(name, path=path) is None]
    if missing:
        pytest.skip(f"needs Slurm ({', '.join(missing)}): as root, where apt-get is, .ci/packages")


def free_port() -> int:
    """A port that nobody listened at a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
