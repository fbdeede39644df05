"""Workers on a Ray cluster, through the REST interface of Ray Jobs; no ray is installed here.

The home has to lie on a folder that this machine and the cluster share under the same path, and
covidcore has to be installed there: the worker checks the first, and says so. With a token in
``RAY_AUTH_TOKEN`` every request carries it. Source: Ray 2 documentation, "Ray Jobs REST API".
"""

import contextlib
import json
import os
import shlex
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

from covidcore import storage
from covidcore.config import Settings, child_environment
from covidcore.errors import DataError, RecipeError, RunError
from covidcore.jobs.folder import Presence, RunFolder
from covidcore.jobs.runners import RunnerUnavailable, worker_command

_SECONDS = 5.0
_PRESENCE = {
    "PENDING": Presence.WAITING,
    "RUNNING": Presence.RUNNING,
    "SUCCEEDED": Presence.GONE,
    "FAILED": Presence.GONE,
    "STOPPED": Presence.GONE,
}
_PREFIX = "covidcore-"


class RayRunner:
    """Ray Jobs at ``ray:http://host:8265``."""

    queues = True

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._url = name.removeprefix("ray:").rstrip("/")
        parts = urllib.parse.urlsplit(self._url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RecipeError(f"COVIDCORE_RUNNER is “{name}”: write ray:http://host:8265.")
        self._here = parts.hostname in ("127.0.0.1", "localhost", "::1")
        self._settings = settings

    def submit(self, folder: RunFolder) -> str:
        """Hand over a job whose id names the run and the attempt: twice is once."""
        recipe = folder.read_job()["recipe"]
        key = f"{_PREFIX}{folder.run}-{folder.attempt()}"
        command = worker_command(folder, sys.executable if self._here else "python3")
        passed = ("COVIDCORE_", "PYTHONPATH") if self._here else ("COVIDCORE_",)
        environment = {k: v for k, v in child_environment().items() if k.startswith(passed)}
        job = {
            "entrypoint": shlex.join(command),
            "submission_id": key,
            "runtime_env": {"env_vars": {**environment, "PYTHONUNBUFFERED": "1"}},
            "metadata": {"run": folder.run, "home": str(self._settings.home)},
            "entrypoint_num_cpus": recipe.get("workers", 1) * max(1, recipe["threads"]),
        }
        try:
            self._ask("POST", "/api/jobs/", job)
        except RunnerUnavailable:
            raise
        except RunError:
            # Ray answers 500 to an id that it knows; then somebody was quicker, and all is well.
            if self._job(key) is None:
                raise
        return key

    def status(self, folder: RunFolder) -> Presence:
        """What the cluster says of the present attempt."""
        job = self._job(self._key(folder))
        return _PRESENCE.get(str(job.get("status")), Presence.GONE) if job else Presence.GONE

    def stop(self, folder: RunFolder) -> None:
        """Leave the file that the worker's watchdog looks for; a waiting job is stopped by Ray."""
        folder.ask_to_stop()
        if self.status(folder) is Presence.WAITING:
            with contextlib.suppress(_NotFound):
                self._ask("POST", f"/api/jobs/{self._key(folder)}/stop", {})

    def logs(self, folder: RunFolder, offset: int = 0) -> tuple[str, int]:
        """What the cluster kept of the worker's output; it begins with lines of Ray's own."""
        answer = self._ask("GET", f"/api/jobs/{self._key(folder)}/logs")
        text = str(answer.get("logs", ""))
        return text[offset:], len(text)

    def list(self) -> dict[str, Presence]:
        """The runs of this home that wait or run on the cluster."""
        found: dict[str, Presence] = {}
        jobs = self._ask("GET", "/api/jobs/")
        for job in jobs if isinstance(jobs, list) else jobs.values():
            about = job.get("metadata") or {}
            presence = _PRESENCE.get(str(job.get("status")), Presence.GONE)
            mine = about.get("home") == str(self._settings.home)
            if mine and presence is not Presence.GONE:
                found[str(about.get("run"))] = presence
        return found

    def version(self) -> str:
        """The cluster's version of Ray."""
        return f"Ray {self._ask('GET', '/api/version').get('ray_version', 'unknown')}"

    def _key(self, folder: RunFolder) -> str:
        try:
            return str(storage.read_json(folder.handover)["key"])
        except (DataError, KeyError, TypeError):
            return f"{_PREFIX}{folder.run}-{folder.attempt()}"

    def _job(self, key: str) -> dict[str, Any] | None:
        try:
            return dict(self._ask("GET", f"/api/jobs/{urllib.parse.quote(key)}"))
        except _NotFound:
            return None

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """One request; JSON in and out.

        Raises: RunnerUnavailable without an answer, RunError for a job that is refused, _NotFound
        for a 404.
        """
        request = urllib.request.Request(self._url + path, method=method)
        request.add_header("Content-Type", "application/json")
        if token := os.environ.get("RAY_AUTH_TOKEN"):
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=_SECONDS) as answer:
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise _NotFound("The cluster does not know this job.") from error
            if error.code in (401, 403):
                sentence = "The cluster wants a token that is right: set RAY_AUTH_TOKEN."
                raise RunnerUnavailable(sentence) from error
            if method == "GET":
                sentence = f"The cluster at {self._url} answers with an error (HTTP {error.code})."
                raise RunnerUnavailable(sentence) from error
            raise RunError(f"The cluster refused the job (HTTP {error.code}).") from error
        except (OSError, ValueError) as error:
            raise RunnerUnavailable(f"The cluster at {self._url} does not answer.") from error


class _NotFound(RunError):
    pass
