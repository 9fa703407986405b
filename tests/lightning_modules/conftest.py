"""One thread for all tests, a trainer that prints nothing, and small IDX files in torchvision's layout."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from images import idx_bytes
from numpy.typing import NDArray
from pytorch_lightning import Trainer

from lightning_modules import Digits


@pytest.fixture(autouse=True)
def _one_thread_and_a_fixed_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("data"))


@pytest.fixture
def digits(data_dir: str) -> Digits:
    return Digits(data_dir=data_dir, batch_size=32)


@pytest.fixture
def trainer(tmp_path: Path) -> Callable[..., Trainer]:
    def build(**arguments: Any) -> Trainer:
        quiet: dict[str, Any] = {
            "accelerator": "cpu",
            "devices": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "num_sanity_val_steps": 0,
            "default_root_dir": tmp_path,
        }
        return Trainer(**(quiet | arguments))

    return build


@pytest.fixture
def idx_contents() -> dict[str, bytes]:
    """120 training and 30 test images of 28×28, each filled with its own number; labels count 0 to 9 in turn."""

    def images(first: int, n: int) -> NDArray[np.uint8]:
        return np.broadcast_to(np.arange(first, first + n, dtype=np.uint8)[:, None, None], (n, 28, 28))

    return {
        "train-images-idx3-ubyte": idx_bytes(images(0, 120)),
        "train-labels-idx1-ubyte": idx_bytes(np.arange(120, dtype=np.uint8) % 10),
        "t10k-images-idx3-ubyte": idx_bytes(images(200, 30)),
        "t10k-labels-idx1-ubyte": idx_bytes(np.arange(30, dtype=np.uint8) % 10),
    }


@pytest.fixture
def write_idx_files(idx_contents: dict[str, bytes]) -> Callable[..., Path]:
    def write(data_dir: Path, *, folder: str, compressed: bool = False) -> Path:
        raw = data_dir / folder / "raw"
        raw.mkdir(parents=True)
        for name, content in idx_contents.items():
            if compressed:
                (raw / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (raw / name).write_bytes(content)
        return raw

    return write
