"""A real Ray cluster for tests: a head on free ports of this machine, with a token."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.runs import processes

VARIABLE = "COVIDCORE_TEST_RAY"
"""The ``ray`` to use; where it is set, no test that needs a cluster may be skipped."""


def find_ray() -> str | None:
    """The program: named, beside this Python, or on the path.

    Raises: pytest.fail where one is named that is not there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        found = shutil.which(named)
        if found is None:
            pytest.fail(f"{VARIABLE} is {named}, which is no program")
        return str(Path(found).absolute())
    return shutil.which(str(Path(sys.executable).with_name("ray"))) or shutil.which("ray")


class RealRay:
    """``ray start --head``, as long as ``up`` to ``kill``; it keeps its ports in between."""

    def __init__(self, ray: str) -> None:
        self._ray = ray
        self.token = secrets.token_hex(32)
        # Short: the names of sockets below it are limited to 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
        names = ("port", "dashboard-port", "ray-client-server-port", "node-manager-port")
        agent = ("dashboard-agent-listen-port", "dashboard-agent-grpc-port", "metrics-export-port")
        names = (*names, *agent, "object-manager-port", "runtime-env-agent-port")
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        self._session: int | None = None

    @property
    def runner(self) -> str:
        return f"ray:http://127.0.0.1:{self._ports['dashboard-port']}"

    def up(self) -> None:
        options = {
            **self._ports,
            "node-ip-address": "127.0.0.1",
            "dashboard-host": "127.0.0.1",
            "num-cpus": 1,  # one job at a time
            "object-store-memory": 80_000_000,
            "min-worker-port": 0,
            "max-worker-port": 0,
            "temp-dir": self._folder,
            "include-log-monitor": "false",
        }
        command = [self._ray, "start", "--head", "--disable-usage-stats"]
        passed = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "COVIDCORE_"))}
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}
        command += [f"--{name}={value}" for name, value in options.items()]
        log = self._folder / "start.log"
        for _ in range(3):  # it gives itself 30 seconds, which a loaded machine may not have
            if self._start(command, {**passed, **token}, log) == 0:
                return
            self.kill()
        raise AssertionError(log.read_text())

    def _start(self, command: list[str], env: dict[str, str], log: Path) -> int:
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # by which its processes are known
            )
        self._session = process.pid
        try:
            return process.wait(180)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """End its processes, and no others, as a power cut would; its jobs' follow in a second."""
        if self._session is None:
            return
        while pids := processes_of(self._session):
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._session = None

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def processes_of(session: int) -> list[int]:
    """What lives in a session; what is dead and not yet taken note of has no command line."""
    found = []
    for pid, command in processes():
        with suppress(ProcessLookupError):
            if command and os.getsid(pid) == session:
                found.append(pid)
    return found


def free_ports(count: int) -> list[int]:
    """Ports that nobody has now; all are held until the last is found, so no two are alike."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextmanager
def real_ray() -> Iterator["RealRay"]:
    """A cluster for as long as it is needed; skips, with the reason, where there is no Ray."""
    ray = find_ray()
    if ray is None:
        pytest.skip("no ray on this machine (requirements-ray.txt)")
    cluster = RealRay(ray)
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.remove()
