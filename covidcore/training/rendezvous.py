"""Where the processes of one machine meet: a store that only this machine can reach.

torch's own for one machine (``--standalone``) listens on every network interface, unpickles what
it is sent there, and finds itself by the host's name, which not every laptop can resolve.
"""

import socket

from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)

NAME = "loopback"
ADDRESS = "127.0.0.1"


def register() -> None:
    """Make it known to torchrun as ``NAME``."""
    rendezvous_handler_registry.register(NAME, lambda parameters: Loopback(parameters.run_id))


class Loopback(RendezvousHandler):
    """There is no other machine to wait for: this one is the first of one, each time."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    @property
    def use_agent_store(self) -> bool:
        """The processes may use the same store."""
        return True

    def get_backend(self) -> str:
        """Its name."""
        return NAME

    def next_rendezvous(self) -> RendezvousInfo:
        """A new store, at a free port: an old one holds the addresses of processes that died."""
        listener = socket.create_server((ADDRESS, 0))
        port = listener.getsockname()[1]
        store = TCPStore(
            ADDRESS,
            port,
            is_master=True,
            wait_for_workers=False,
            master_listen_fd=listener.detach(),
        )
        return RendezvousInfo(store, 0, 1, RendezvousStoreInfo(ADDRESS, port))

    def is_closed(self) -> bool:
        """It never is."""
        return False

    def set_closed(self) -> None:
        """There is nothing to close for others."""

    def num_nodes_waiting(self) -> int:
        """Nobody comes later."""
        return 0

    def get_run_id(self) -> str:
        """What torchrun calls this meeting."""
        return self._run_id

    def shutdown(self) -> bool:
        """The store goes with the process."""
        return True
