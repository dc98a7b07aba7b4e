"""Hosts made of what /proc/cpuinfo says on them, in cpuinfo/."""

from pathlib import Path

from keras_backtrack.runtime.host import read_cpu

# Sockets, NUMA nodes and, from the first processor's block, cores and hyper-threads of each.
_HOSTS = {
    "gold-6128": (2, 2),
    "i7-8700k": (1, 1),
    "sapphire-rapids": (2, 2),
    "epyc-7763": (1, 1),
    "epyc-zen4": (1, 1),  # A virtual machine of two of its cores.
}


def host(name):
    """A host made of the first block of its /proc/cpuinfo."""
    block = (Path(__file__).parent / "cpuinfo" / f"{name}.txt").read_text()
    sockets, nodes = _HOSTS[name]
    fields = dict(line.split("\t", 1) for line in block.splitlines())
    siblings, cores = (int(fields[key].strip("\t: ")) for key in ("siblings", "cpu cores"))
    blocks = [
        block.replace("processor\t: 0", f"processor\t: {i}")
        .replace("physical id\t: 0", f"physical id\t: {i // siblings}")
        .replace("core id\t\t: 0", f"core id\t\t: {i % cores}")
        for i in range(sockets * siblings)
    ]
    return read_cpu("\n".join(blocks), nodes)
