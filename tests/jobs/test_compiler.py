"""With COVIDCORE_COMPILE a network is compiled for training, and is the same network."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from covidcore.errors import RunError
from covidcore.jobs import preparation
from tests.conftest import ROOT

TRAIN = """
import copy
import torch
from covidcore.jobs.preparation import _compile
from covidcore.model import network

_, tail = network.cut(network.build("resnet18", 3, 0), "resnet18", "last_stage")
twin = copy.deepcopy(tail)
_compile(twin, "eager")
for number in range(3):
    images = torch.randn(4, 256, 7, 7)
    totals = []
    for one in (tail, twin):
        loss = one.train()(images).square().sum()
        loss.backward()
        torch.optim.SGD(one.parameters(), 1e-3).step()
        totals.append(loss.item())
    assert totals[0] == totals[1], totals
assert list(twin.state_dict()) == list(tail.state_dict())
print("torch._dynamo.eval_frame" in __import__("sys").modules)
"""


def test_a_compiled_network_is_trained_alike() -> None:
    """This backend takes the network apart as each does, and computes with torch's own layers."""
    done = subprocess.run(
        [sys.executable, "-c", TRAIN], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "True\n"


def test_a_backend_that_torch_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "list_backends", lambda: ["inductor"])
    with pytest.raises(RunError, match="“fast”; torch knows here: inductor"):
        preparation._compile(nn.Sequential(), "fast")
