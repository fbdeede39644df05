"""torchrun on this machine, for a worker: ``python -m covidcore.jobs.torchrun N MODULE ARGUMENT``.

Starts N processes, and all of them anew where one dies. It is torch's own agent, but that it ends
with its worker and can be reached from this machine alone.
"""

import os
import socket
import subprocess
import sys

from covidcore.config import child_environment
from covidcore.jobs.lifeline import Lifeline

RESTARTS = 3
"""How often all processes are started anew before it is given up."""


def start(processes: int, threads: int, module: str, argument: str) -> subprocess.Popen[bytes]:
    """Run ``python -m MODULE ARGUMENT`` in so many processes; its ``stdin`` is their lifeline."""
    words = [sys.executable, "-m", "covidcore.jobs.torchrun", str(processes), module, argument]
    environment = {
        **child_environment(),
        "OMP_NUM_THREADS": str(threads),
        "GLOO_SOCKET_IFNAME": _loopback(),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # each would warn of an option that we mean (spanning.py)
    }
    # Unbuffered, so that closing the pipe to processes that have ended has nothing left to write.
    return subprocess.Popen(words, stdin=subprocess.PIPE, bufsize=0, env=environment)


def _loopback() -> str:
    """The network interface that leads nowhere: lo, or lo0."""
    return next(name for _, name in socket.if_nameindex() if name.startswith("lo"))


def main(processes: int, module: str, argument: str) -> None:
    """Be the agent."""
    Lifeline().start()  # first, for the imports take seconds
    from torch.distributed import run

    from covidcore.training import rendezvous

    rendezvous.register()
    options = {
        "nnodes": 1,
        "nproc-per-node": processes,
        "max-restarts": RESTARTS,
        "rdzv-backend": rendezvous.NAME,
        "rdzv-endpoint": rendezvous.ADDRESS,
        "local-addr": rendezvous.ADDRESS,
        "log-dir": os.devnull,  # what they print goes where ours goes
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    run.main([*words, "-m", module, argument])


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
