"""Hosts made of what /proc/cpuinfo says on them, in cpuinfo/."""

from pathlib import Path

from keras_backtrack.runtime.host import Cpu, flag

# Sockets and NUMA nodes; cores and hyper-threads of each socket are in the file.
_HOSTS = {
    "gold-6128": (2, 2),
    "i7-8700k": (1, 1),
    "sapphire-rapids": (2, 2),
    "epyc-7763": (1, 1),
    "epyc-zen4": (1, 1),  # A virtual machine of two of its cores.
}


def _fields(name):
    block = (Path(__file__).parent / "cpuinfo" / f"{name}.txt").read_text()
    pairs = (line.split(":", 1) for line in block.splitlines())
    return {key.strip(): value.strip() for key, value in pairs}


def host(name):
    """A host whose first processor has such a block in its /proc/cpuinfo."""
    fields, (sockets, nodes) = _fields(name), _HOSTS[name]
    cores, threads = (sockets * int(fields[key]) for key in ("cpu cores", "siblings"))
    return Cpu(frozenset(map(flag, fields["flags"].split())), cores, threads, nodes, threads)


def name_of(name):
    """What its processor is called."""
    return _fields(name)["model name"]
