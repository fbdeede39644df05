"""Download torchvision's ImageNet weights: ``python -m covidcore.model.fetch ARCH FOLDER``.

A process of its own, so that the app need not import torch for it. Prints the file's path.
"""

import socket
import sys
from pathlib import Path


def main(arch: str, folder: Path) -> int:
    """Fetch and verify; the file appears in ``folder`` whole or not at all."""
    import torch
    from filelock import FileLock
    from torchvision.models import get_model_weights

    from covidcore.model.weights import IMAGENET_FILES

    socket.setdefaulttimeout(20)
    file = IMAGENET_FILES[arch]
    urls = [entry.url for entry in get_model_weights(arch) if entry.url.endswith("/" + file)]
    folder.mkdir(parents=True, exist_ok=True)
    begin = file.rsplit("-", 1)[1].removesuffix(".pth")
    with FileLock(folder / f".{file}.lock"):
        if not (folder / file).exists():  # else another process was quicker
            for left in folder.glob(f"{file}.*.partial"):  # of a download that was killed
                left.unlink()
            # Writes aside, checks the hash and moves into place.
            torch.hub.download_url_to_file(urls[0], str(folder / file), begin, progress=False)
    sys.stdout.write(f"{folder / file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
