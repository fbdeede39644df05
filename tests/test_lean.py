"""torch's compiler is not imported for two answers, and is itself when it is needed.

Freed memory is given back, or kept, as a process asks for.
"""

import platform
import subprocess
import sys

import pytest

TRAIN = """
import sys, torch
from covidcore.model.network import build
torch.manual_seed(0)
torch.set_num_threads(1)
model = build("resnet18", 3)
optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
images = torch.rand(4, 3, 64, 64)
for _ in range(2):
    loss = model(images).square().sum()
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()
total = sum(float(one.double().abs().sum()) for one in model.parameters())
"""


def said(program: str, *, first: str = "") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", first + TRAIN + program], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_training_imports_no_compiler_and_is_the_same() -> None:
    told = "print(repr(total), 'sympy' in sys.modules, 'torch._inductor' in sys.modules)"
    ours = said(told)
    assert ours[1:] == ["False", "False"]
    theirs = said(told, first="import torch._dynamo\n")
    assert theirs[1:] == ["True", "True"]
    assert ours[0] == theirs[0]


USES = [
    "compiled = torch.compile(lambda x: x * 2 + 1, backend='eager')",
    "import torch._dynamo.config; compiled = lambda x: x * 2 + 1",
    "from torch._dynamo import explain; compiled = lambda x: x * 2 + 1",
]


def test_whoever_needs_it_gets_it() -> None:
    """Each in a process of its own, which begins where the network has been trained."""
    program = f"""
import os
for use in {USES!r}:
    if not (child := os.fork()):
        exec(use)
        print(float(compiled(torch.ones(1))), type(sys.modules['torch._dynamo']), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""
    assert said(program) == ["3.0", "<class", "'module'>"] * len(USES)


BATCHES = """
import resource, sys
from covidcore import lean
import numpy as np
if sys.argv[1] == "kept":
    lean.keep_memory()
np.ones(50_000_000)  # 400 MB: more than glibc ever keeps by itself
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(50_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is about glibc's malloc")
def test_kept_memory_is_not_asked_for_again() -> None:
    """Faults of pages in ten batches: with huge pages 200 a batch, without 100,000."""
    faults = {}
    for how in ("as it comes", "kept"):
        done = subprocess.run(
            [sys.executable, "-c", BATCHES, how], capture_output=True, text=True, check=True
        )
        faults[how] = int(done.stdout)
    assert faults["as it comes"] > 1000
    assert faults["kept"] < 100
