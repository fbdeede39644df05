"""The number format is as asked, or measured once a machine."""

from pathlib import Path

import pytest
import torch
from torch import nn

from covidcore import storage
from covidcore.training.precision import autocast, choose


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_as_asked(home: Path, asked: str) -> None:
    assert choose(asked, home) == asked
    assert not home.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is not tried out, but asked")
def test_auto_tries_once_and_keeps_the_answer(home: Path) -> None:
    found = choose("auto", home)
    path = home / "probes.json"
    (answer,) = storage.read_json(path).values()
    assert found == answer
    other = {"fp32": "bf16", "bf16": "fp32"}[found]
    storage.write_json(path, dict.fromkeys(storage.read_json(path), other))
    assert choose("auto", home) == other


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is not tried out, but asked")
@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"fp32"'])
def test_a_damaged_answer_is_found_again(home: Path, text: str) -> None:
    home.mkdir()
    (home / "probes.json").write_text(text)
    assert choose("auto", home) in ("fp32", "bf16")
    assert list(storage.read_json(home / "probes.json").values()) != []


def test_autocast() -> None:
    layer, values = nn.Linear(4, 4), torch.ones(1, 4)
    with autocast("fp32"):
        assert layer(values).dtype == torch.float32
    with autocast("bf16"):
        assert layer(values).dtype == torch.bfloat16
    assert layer(values).dtype == torch.float32
