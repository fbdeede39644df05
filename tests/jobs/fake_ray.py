"""A small Ray cluster for tests: Ray's REST interface of jobs, each a process of this machine.

It answers as Ray 2.60 was seen to: a job waits as PENDING for processors, and one that is stopped
while it waits stays PENDING until there are some; a repeated id is an error of the server.
"""

import contextlib
import json
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

RAY_LINES = "2026-01-01 00:00:00,000\tINFO job_manager.py:1 -- Runtime env is setting up.\n"
NO_ROOM = "Job supervisor actor failed to start within 900.0 seconds."


@dataclass
class Job:
    """One submission; a process once it has started."""

    asked: dict[str, Any]
    output: Path
    process: subprocess.Popen[bytes] | None = None
    stopped: bool = False
    given_up: bool = False

    def start(self, mounts: dict[str, str]) -> None:
        passed = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "COVIDCORE_"))}
        command = self.asked["entrypoint"]
        for here, there in mounts.items():
            command = command.replace(here, there)
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                shlex.split(command),
                env={**passed, **self.asked["runtime_env"]["env_vars"]},
                cwd=self.output.parent,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self.stopped:
            self.stop()

    def status(self) -> str:
        if self.given_up:
            return "FAILED"
        if self.process is None:
            return "PENDING"
        if self.process.poll() is None:
            return "RUNNING"
        if self.stopped:
            return "STOPPED"
        return "FAILED" if self.process.returncode else "SUCCEEDED"

    def document(self) -> dict[str, Any]:
        kind = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT" if self.given_up else None
        about = {"type": "SUBMISSION", "error_type": kind, "message": NO_ROOM if kind else ""}
        return {**self.asked, **about, "status": self.status()}

    def logs(self) -> str:
        if self.process is None:
            return ""
        entry = f"Running entrypoint for job {self.asked['submission_id']}: ...\n"
        return RAY_LINES + entry + self.output.read_text()

    def stop(self) -> None:
        self.stopped = True
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


@dataclass
class FakeRay:
    """The cluster; ``up`` and ``down`` are its network, the jobs go on meanwhile."""

    folder: Path
    token: str = ""
    cpus: int = 2
    broken: bool = False
    """Every answer is an error of the server."""
    mounts: dict[str, str] = field(default_factory=dict)
    """Folders of this machine, and where its workers look for them."""
    jobs: dict[str, Job] = field(default_factory=dict)
    port: int = 0
    _server: ThreadingHTTPServer | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def runner(self) -> str:
        return f"ray:http://127.0.0.1:{self.port}"

    def up(self) -> None:
        cluster = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer()

            def do_POST(self) -> None:
                self.answer()

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                told = self.headers.get("Authorization", "")
                status, document = cluster.ask(self.command, self.path, body, told)
                text = document if isinstance(document, str) else json.dumps(document)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *values: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def kill(self) -> None:
        """A power cut: the network, every process, and all that it knew of them."""
        self.down()
        with self._lock:
            for job in self.jobs.values():
                job.kill()
            self.jobs.clear()

    def ask(self, method: str, path: str, body: bytes, told: str) -> tuple[int, Any]:
        if self.token and told != f"Bearer {self.token}":
            return (403, "Forbidden: wrong token") if told else (401, "Unauthorized: no token")
        if self.broken:
            return 503, "Traceback (most recent call last):\nOSError: no head node\n.\n"
        with self._lock:
            return self._answer(method, path.strip("/").split("/"), body)

    def schedule(self) -> None:
        """Start what there is room for, in the order of submission."""
        with self._lock:
            waiting = [job for job in list(self.jobs.values()) if job.status() == "PENDING"]
            running = [job for job in list(self.jobs.values()) if job.status() == "RUNNING"]
            free = self.cpus - sum(job.asked["entrypoint_num_cpus"] for job in running)
            for job in waiting:
                if job.asked["entrypoint_num_cpus"] <= free:
                    free -= job.asked["entrypoint_num_cpus"]
                    job.start(self.mounts)

    def _answer(self, method: str, parts: list[str], body: bytes) -> tuple[int, Any]:
        if parts == ["api", "version"]:
            return 200, {"version": "4", "ray_version": "2.60.0"}
        if parts == ["api", "jobs"]:
            if method == "GET":
                return 200, [job.document() for job in self.jobs.values()]
            return self.submit(json.loads(body))
        job = self.jobs.get(parts[2])
        if job is None:
            return 404, f"Job {parts[2]} does not exist"
        if method == "POST":
            job.stop()
            return 200, {"stopped": True}
        if parts[3:] == ["logs"]:
            return 200, {"logs": job.logs()}
        return 200, job.document()

    def submit(self, asked: dict[str, Any]) -> tuple[int, Any]:
        key = asked["submission_id"]
        if key in self.jobs:
            what = f"ValueError: Job with submission_id {key} already exists."
            return 500, f"Traceback (most recent call last):\n{what}\n.\n"
        self.jobs[key] = Job(asked, self.folder / f"{key}.out")
        return 200, {"job_id": key, "submission_id": key}


@contextmanager
def fake_ray(folder: Path, cpus: int = 2) -> Iterator[FakeRay]:
    cluster, ended = FakeRay(folder, cpus=cpus), threading.Event()

    def go_on() -> None:
        while not ended.wait(0.02):
            cluster.schedule()

    scheduler = threading.Thread(target=go_on, daemon=True)
    cluster.up()
    scheduler.start()
    try:
        yield cluster
    finally:
        ended.set()
        scheduler.join()
        cluster.kill()
