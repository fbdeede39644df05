"""One thread: two of them on a busy machine are slower than one, and say nothing more."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
