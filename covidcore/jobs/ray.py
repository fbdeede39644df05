"""Workers on a Ray cluster, through the REST interface of Ray Jobs; no ray is installed here.

The home has to lie on a folder that this machine and the cluster share under the same path, and
covidcore has to be installed there: the worker checks the first, and says so. With a token in
``RAY_AUTH_TOKEN`` every request carries it. Source: Ray 2 documentation, "Ray Jobs REST API".
"""

import contextlib
import http.client
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
_NO_ROOM = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
"""Ray gives a job up that has waited for 15 minutes (``RAY_JOB_START_TIMEOUT_SECONDS``)."""
_PREFIX = "covidcore-"


class RayRunner:
    """Ray Jobs at ``ray:http://host:8265``."""

    queues = True

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._url = name.removeprefix("ray:").rstrip("/")
        try:
            parts = urllib.parse.urlsplit(self._url)
            right = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # no port, or brackets that do not match
            right = False
        if not right:
            raise RecipeError(f"COVIDCORE_RUNNER is “{name}”: write ray:http://host:8265.")
        if not settings.home.is_absolute():
            raise RecipeError(
                f"COVIDCORE_HOME is “{settings.home}”: a cluster needs the whole path of a folder "
                "that it shares."
            )
        self._here = parts.hostname in ("127.0.0.1", "localhost", "::1")
        self._settings = settings

    def submit(self, folder: RunFolder) -> str:
        """Hand over a job whose id names this attempt at the run: twice is once."""
        recipe = folder.read_job()["recipe"]
        key = self._new_key(folder)
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
        except RunError:
            # Ray answers 500 to an id that it knows, and its answer to the first may have been
            # lost; where it has the job, all is well.
            if self._job(key) is None:
                raise
        return key

    def status(self, folder: RunFolder) -> Presence:
        """What the cluster says of the present attempt; who holds the run's lock is there.

        The cluster may have been started anew while a worker on another node goes on.
        """
        job = self._job(self._key(folder))
        if job is None or job.get("error_type") == _NO_ROOM:
            presence = Presence.LOST
        else:
            presence = _PRESENCE.get(str(job.get("status")), Presence.GONE)
        over = presence in (Presence.GONE, Presence.LOST)
        return Presence.RUNNING if over and folder.locked() else presence

    def stop(self, folder: RunFolder) -> None:
        """Leave the file that the worker's watchdog looks for; a waiting job is stopped by Ray."""
        folder.ask_to_stop()
        if self.status(folder) is Presence.WAITING:
            with contextlib.suppress(_NotFound):
                self._ask("POST", f"/api/jobs/{self._key(folder)}/stop", {})

    def logs(self, folder: RunFolder, offset: int = 0) -> tuple[str, int]:
        """What the cluster kept of the worker's output; it begins with lines of Ray's own.

        Of a job that never began, why it did not; nothing of one that the cluster does not know.
        """
        key = self._key(folder)
        try:
            text = str(self._ask("GET", f"/api/jobs/{key}/logs").get("logs") or "")
        except _NotFound:
            return "", offset
        if not text:
            text = str((self._job(key) or {}).get("message") or "")
        return text[offset:], len(text)

    def list(self) -> dict[str, Presence]:
        """The runs of this home that wait or run on the cluster."""
        found: dict[str, Presence] = {}
        for job in self._ask("GET", "/api/jobs/", kind=list):
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
            return self._new_key(folder)

    def _new_key(self, folder: RunFolder) -> str:
        """An id that no other job of the cluster has, and that is the same when asked for again.

        A cluster remembers ids. The same run is made in other homes, and here when it was removed.
        """
        moment = f"{self._settings.home} {folder.status().get('submitted')}"
        mark = storage.sha256_bytes(moment.encode("utf-8", "surrogateescape"))[:8]
        return f"{_PREFIX}{folder.run}-{folder.attempt()}-{mark}"

    def _job(self, key: str) -> dict[str, Any] | None:
        try:
            return dict(self._ask("GET", f"/api/jobs/{urllib.parse.quote(key)}"))
        except _NotFound:
            return None

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, kind: type = dict
    ) -> Any:
        """One request; JSON in, and a JSON document of ``kind`` out.

        Raises: RunnerUnavailable without an answer that is one, RunError for a request that is
        refused, _NotFound for a 404.
        """
        request = urllib.request.Request(self._url + path, method=method)
        request.add_header("Content-Type", "application/json")
        if token := os.environ.get("RAY_AUTH_TOKEN"):
            request.add_header("Authorization", f"Bearer {token}")
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=_SECONDS) as answer:
                document = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise self._in_words(error, bool(token)) from error
        except OSError as error:
            raise RunnerUnavailable(f"The cluster at {self._url} does not answer.") from error
        except (ValueError, http.client.HTTPException):
            document = None
        if not isinstance(document, kind):
            raise RunnerUnavailable(f"What answers at {self._url} is not a Ray cluster.")
        return document

    def _in_words(self, error: urllib.error.HTTPError, token: bool) -> RunError:
        """What an answer that is an error means for a run: it waits, or it is refused."""
        if error.code == 404:
            return _NotFound("The cluster does not know this job.")
        if error.code in (401, 403):
            what = "it does not take the one in RAY_AUTH_TOKEN" if token else "set RAY_AUTH_TOKEN"
            return RunnerUnavailable(f"The cluster at {self._url} wants a token: {what}.")
        reason = f"HTTP {error.code}{_last_line(error)}"
        if error.code >= 500:  # also while it starts, before it can take jobs
            return RunnerUnavailable(f"The cluster at {self._url} answers with an error: {reason}.")
        return RunError(f"The cluster refused the job: {reason}.")


def _last_line(error: urllib.error.HTTPError) -> str:
    """What the answer says: the last line of a traceback, as a rule."""
    try:
        text = error.read(1 << 16).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""
    lines = [line.strip(" .") for line in text.splitlines() if line.strip(" .")]
    return f", {lines[-1][:200]}" if lines else ""


class _NotFound(RunError):
    pass
