"""Download from Kaggle: ``python -m covidcore.data.kaggle_fetch HOME OWNER NAME VERSION``.

A process of its own: it can be stopped at any moment, and what kagglehub needs costs the app
nothing. kagglehub finds the version, resumes and compares check sums; its own unpacking trusts an
archive, so that is left to ``archives``. Public datasets need no account, and none is used.
"""

import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

from covidcore import storage
from covidcore.config import Settings
from covidcore.data.kaggle_folder import Folder, Handle, by_hand
from covidcore.errors import CovidcoreError, DataError

_TRIES = 4
"""How often a download that breaks off is taken up again, while each try brings something."""
_ROOM = 2.2
"""So many times its size an archive takes, packed and unpacked."""


def main(home: str, owner: str, name: str, version: str) -> int:
    """Fetch one version (0: the newest); does nothing where a download is under way."""
    settings = Settings(home=Path(home))
    handle = Handle(owner, name, int(version) or None)
    folder = Folder(handle, settings)
    with folder.at_work() as mine:
        return _fetch(handle, folder) if mine else 0


def _fetch(handle: Handle, folder: Folder) -> int:
    """With the lock held: ask, download, and write down how it ended."""
    found: dict[str, Any] = {"version": handle.version}
    folder.write_status(phase="asking", **found)
    try:
        _be_nobody(folder.path)
        try:
            from kagglehub.clients import download_file
        except ImportError as error:
            raise DataError(
                by_hand(handle, "kagglehub is not installed (pip install -r requirements.txt)")
            ) from error
        with _client() as client:
            found["version"] = version = handle.version or _newest(client, handle)
            folder.write_status(phase="asking", **found)
            _download(client, download_file, Handle(handle.owner, handle.name, version), folder)
    except CovidcoreError as error:
        folder.write_status(phase="failed", message=str(error), **found)
        return 1
    except Exception as error:  # of five libraries; whatever it is, a page has to show it
        traceback.print_exc()
        folder.write_status(phase="failed", message=_in_words(handle, error), **found)
        return 1
    return 0


def _be_nobody(folder: Path) -> None:
    """Let kagglehub find no credentials, and write nothing outside the home.

    It sends those it finds, and an outdated token makes Kaggle refuse what is public.
    """
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_KERNEL_RUN_TYPE"):
        os.environ.pop(name, None)
    os.environ.update(
        HOME=str(folder),
        KAGGLE_CONFIG_DIR=str(folder),
        KAGGLEHUB_CACHE=str(folder / "cache"),
        KAGGLE_LOGGING_ENABLED="false",
        TQDM_DISABLE="1",
    )


def _client() -> Any:
    """Like kagglehub's own, which prints whole archives where it talks to a test server."""
    from kagglehub.clients import get_user_agent
    from kagglesdk.kaggle_client import KaggleClient

    return KaggleClient(user_agent=get_user_agent())


def _newest(client: Any, handle: Handle) -> int:
    from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

    request = ApiGetDatasetRequest()
    request.owner_slug, request.dataset_slug = handle.owner, handle.name
    version = int(client.datasets.dataset_api_client.get_dataset(request).current_version_number)
    if version < 1:
        raise DataError(by_hand(handle, f"Kaggle names no version of {handle}"))
    return version


def _download(client: Any, download_file: Any, exact: Handle, folder: Folder) -> None:
    """Fetch the archive, taking it up again where the connection breaks, and give it its name."""
    from kagglehub.handle import DatasetHandle
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest
    from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout

    version = exact.version or 0
    request = ApiDownloadDatasetRequest()
    request.owner_slug, request.dataset_slug = exact.owner, exact.name
    request.dataset_version_number = version
    part = folder.part(version)
    for left in reversed(range(_TRIES)):
        before = part.stat().st_size if part.exists() else 0
        try:
            with client.datasets.dataset_api_client.download_dataset(request) as response:
                total = int(response.headers.get("Content-Length") or 0)
                _check_room(part, total, exact)
                folder.write_status(phase="downloading", version=version, total=total)
                if before > total > 0:
                    part.unlink()  # of another archive, then
                download_file(response, str(part), DatasetHandle(exact.owner, exact.name, version))
            break
        except (ChunkedEncodingError, ConnectionError, Timeout):
            if not left or not part.exists() or part.stat().st_size <= before:
                raise
    _publish(part, folder.archive(version), total, exact)
    folder.write_status(phase="done", version=version, total=total)


def _check_room(part: Path, total: int, exact: Handle) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < _ROOM * total:
        raise DataError(
            f"{exact} needs about {_ROOM * total / 1e9:.1f} GB, and the disk of {part.parent} has "
            f"{free / 1e9:.1f} GB left: make room, or set COVIDCORE_HOME to another disk."
        )


def _publish(part: Path, archive: Path, total: int, exact: Handle) -> None:
    if total and part.stat().st_size != total:
        part.unlink()
        raise DataError(f"{exact} did not arrive whole from Kaggle: start it again.")
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, archive)
    storage.sync_folder(archive.parent)


def _in_words(handle: Handle, error: Exception) -> str:
    from requests.exceptions import ConnectionError, HTTPError, Timeout

    if isinstance(error, HTTPError) and error.response is not None:
        code = error.response.status_code
        if code in (401, 403, 404):
            return by_hand(handle, f"Kaggle has no public dataset {handle} (it answered {code})")
        return by_hand(handle, f"Kaggle answered {code}: try again later")
    if isinstance(error, ConnectionError | Timeout):
        return by_hand(handle, "Kaggle could not be reached")
    if isinstance(error, OSError) and error.strerror:
        return by_hand(handle, f"The download could not be written: {error.strerror}")
    return by_hand(handle, f"The download from Kaggle failed ({type(error).__name__})")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
