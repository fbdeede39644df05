"""Grad-CAM: where in an image lies what speaks for an answer.

Source: Selvaraju et al. 2017, "Grad-CAM", eq. 1 and 2, of the last convolutions.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from covidcore.model.network import at_pooling


def grad_cam(
    model: nn.Module, arch: str, images: torch.Tensor, classes: torch.Tensor | None = None
) -> NDArray[np.float32]:
    """Maps ``(N, h, w)``, 0 and above, of preprocessed images ``(N, 3, S, S)``.

    For the class of each image in ``classes`` ``(N,)``, else for the one that the model answers. A
    map is as coarse as the last convolutions: 7 cells a side of 224 pixels.
    """
    front, back = at_pooling(model, arch)
    with torch.no_grad():
        maps = front(images).float()
    # Only what comes after the maps is gone through backwards: the cost is that of an answer.
    with torch.enable_grad():
        maps.requires_grad_(True)
        logits = back(maps)
        chosen = logits.argmax(dim=1) if classes is None else classes
        (gradient,) = torch.autograd.grad(logits.gather(1, chosen[:, None]).sum(), maps)
    weights = gradient.float().mean(dim=(2, 3), keepdim=True)
    seen = torch.relu((weights * maps.detach()).sum(dim=1))
    array: NDArray[np.float32] = seen.float().cpu().numpy()
    return array
