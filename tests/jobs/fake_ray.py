"""A small Ray cluster for tests: Ray's REST interface of jobs, each a process of this machine."""

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

RAY_LINES = "2026-01-01 00:00:00,000 INFO job_manager.py:1 -- Runtime env is setting up.\nRunning\n"


@dataclass
class Job:
    """One submission; a process once it has started."""

    asked: dict[str, Any]
    output: Path
    process: subprocess.Popen[bytes] | None = None
    stopped: bool = False

    def start(self) -> None:
        passed = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                shlex.split(self.asked["entrypoint"]),
                env={**passed, **self.asked["runtime_env"]["env_vars"]},
                cwd=self.output.parent,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def status(self) -> str:
        if self.process is None:
            return "STOPPED" if self.stopped else "PENDING"
        if self.process.poll() is None:
            return "RUNNING"
        if self.stopped:
            return "STOPPED"
        return "FAILED" if self.process.returncode else "SUCCEEDED"

    def document(self) -> dict[str, Any]:
        return {**self.asked, "status": self.status(), "type": "SUBMISSION"}

    def stop(self) -> None:
        self.stopped = True
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()


@dataclass
class FakeRay:
    """The cluster; ``up`` and ``down`` are its network, the jobs go on meanwhile."""

    folder: Path
    token: str = ""
    full: bool = False
    """Jobs wait as PENDING."""
    broken: bool = False
    """Every answer is an error of the server."""
    jobs: dict[str, Job] = field(default_factory=dict)
    port: int = 0
    _server: ThreadingHTTPServer | None = None

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
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

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

    def ask(self, method: str, path: str, body: bytes, told: str) -> tuple[int, Any]:
        if self.token and told != f"Bearer {self.token}":
            return 401, {"error": "Unauthorized"}
        if self.broken:
            return 503, "no head node"
        parts = path.strip("/").split("/")
        if parts == ["api", "version"]:
            return 200, {"version": "4", "ray_version": "2.50.0"}
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
            return 200, {"logs": RAY_LINES + (job.output.read_text() if job.process else "")}
        return 200, job.document()

    def submit(self, asked: dict[str, Any]) -> tuple[int, Any]:
        key = asked["submission_id"]
        if key in self.jobs:
            return 500, f"ValueError: Job with submission_id {key} already exists."
        self.jobs[key] = job = Job(asked, self.folder / f"{key}.out")
        if not self.full:
            job.start()
        return 200, {"job_id": key, "submission_id": key}


@contextmanager
def fake_ray(folder: Path) -> Iterator[FakeRay]:
    cluster = FakeRay(folder)
    cluster.up()
    try:
        yield cluster
    finally:
        cluster.down()
        for job in cluster.jobs.values():
            job.kill()
