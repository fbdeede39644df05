"""A network in several processes computes what it would compute in one.

Gradients are those of the whole step (DistributedDataParallel); normalisation is over the images
of the whole step, and dropout is drawn for all of them, each process taking its rows. So the
results of a recipe do not depend on the number of processes, but for the last digits of sums.
(torch's SyncBatchNorm does not run on CPUs.)
"""

from typing import Any

import torch
from torch import nn
from torch.autograd import Function
from torch.nn import functional

from covidcore.training.group import Group


def spread(tail: nn.Module, group: Group) -> nn.Module:
    """What to call in place of ``tail`` in training; parameters and state stay those of ``tail``.

    Layers that look at more than one image are replaced within ``tail``.
    """
    if group.size == 1:
        return tail
    _replace(tail, group)
    # Without the argument, torch puts the gradients into another order after the first step. Sums
    # of three and more processes in another order differ in their last digits, and a run that was
    # resumed would not be the run that was never stopped.
    return nn.parallel.DistributedDataParallel(tail, find_unused_parameters=True)


def _replace(parent: nn.Module, group: Group) -> None:
    from torchvision.ops import StochasticDepth

    for name, child in parent.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(parent, name, SpanningBatchNorm(child, group))
        elif isinstance(child, nn.Dropout):
            setattr(parent, name, SpanningDropout(child.p, group))
        elif isinstance(child, StochasticDepth):
            assert child.mode == "row"
            setattr(parent, name, SpanningDropout(child.p, group, whole_rows=True))
        else:
            _replace(child, group)


class SpanningDropout(nn.Module):
    """Dropout of single values, or of ``whole_rows`` (stochastic depth), as one process draws it.

    Every process seeds its generator alike, draws for the whole step, and takes its own rows.
    """

    def __init__(self, p: float, group: Group, whole_rows: bool = False) -> None:
        super().__init__()
        self.p, self.group, self.whole_rows = p, group, whole_rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs ``(n, ...)`` of this process's share -> the same shape."""
        if not self.training or self.p == 0:
            return x
        rest = [1] * (x.ndim - 1) if self.whole_rows else x.shape[1:]
        kept = torch.empty((self.group.images, *rest), dtype=x.dtype, device=x.device)
        kept.bernoulli_(1 - self.p)
        return x * kept[self.group.mine].div_(1 - self.p)


class SpanningBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over the images of the whole step; takes over a layer's parameters."""

    def __init__(self, layer: nn.BatchNorm2d, group: Group) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum)
        self.weight, self.bias = layer.weight, layer.bias
        for name, buffer in layer.named_buffers():
            setattr(self, name, buffer)
        self.group = group

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs ``(n, C, H, W)`` of this process's share -> the same shape."""
        if not self.training:
            return super().forward(x)
        given = (x, self.weight, self.bias, self.eps, self.group)
        y: torch.Tensor
        y, mean, variance, count = _Normalise.apply(*given)
        assert self.num_batches_tracked is not None and self.momentum is not None
        assert self.running_mean is not None and self.running_var is not None
        with torch.no_grad():
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return y


class _Normalise(Function):
    """Normalise by the mean and variance over all processes; their gradients go through both."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        eps: float,
        group: Group,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
        variance, mean = torch.var_mean(x.float(), dim=(0, 2, 3), correction=0)
        # As sums in double precision, so that one exchange is enough and loses nothing.
        n = x.numel() // x.shape[1]
        mean, variance = mean.double(), variance.double()
        sums = torch.cat([n * mean, n * (variance + mean**2), mean.new_tensor([n])])
        count = float(group.total(sums)[-1])
        mean, squares = (sums[:-1] / count).chunk(2)
        variance = (squares - mean**2).clamp_(min=0)
        mean, variance = mean.float(), variance.float()
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.eps, ctx.group, ctx.count = eps, group, count
        ctx.mark_non_differentiable(mean, variance)
        y = functional.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        # As if mean and variance were constants; then what comes of their being none.
        # Source: Ioffe & Szegedy 2015, section 3.
        dx, d_weight, d_bias = torch.ops.aten.native_batch_norm_backward(
            dy, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        sums = torch.cat([d_weight, d_bias]).double()
        over_weight, over_bias = (ctx.group.total(sums) / ctx.count).float().chunk(2)
        scale = torch.rsqrt(variance + ctx.eps)

        def channels(values: torch.Tensor) -> torch.Tensor:
            return values[:, None, None]

        x_part = (x - channels(mean)) * channels(weight * scale**2 * over_weight)
        dx = dx - (x_part + channels(weight * scale * over_bias)).to(dx.dtype)
        return dx, d_weight, d_bias, None, None
