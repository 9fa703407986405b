from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch

from lightning_modules.data.array_folder import read_arrays, write_arrays


def test_arrays_come_back_as_maps_whose_changes_reach_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "arrays"
    write_arrays(folder, {"a": np.arange(3), "b": np.ones((2, 2), dtype=np.float32)})
    b, a = read_arrays(folder, "b", "a")
    assert isinstance(a, np.memmap)
    torch.from_numpy(a).add_(10)
    np.testing.assert_array_equal(a, [10, 11, 12])
    np.testing.assert_array_equal(read_arrays(folder, "a")[0], [0, 1, 2])
    np.testing.assert_array_equal(b, np.ones((2, 2)))


def test_of_writers_at_once_one_wins_whole_and_none_leaves_anything(tmp_path: Path) -> None:
    n_writers, folder = 8, tmp_path / "arrays"
    barrier = Barrier(n_writers)

    def write(number: int) -> None:
        barrier.wait()
        write_arrays(folder, {name: np.full(1000, number) for name in ("a", "b", "c")})

    with ThreadPoolExecutor(n_writers) as pool:
        list(pool.map(write, range(n_writers)))
    assert [path.name for path in tmp_path.iterdir()] == ["arrays"]
    assert len({int(value) for array in read_arrays(folder, "a", "b", "c") for value in array}) == 1


def test_a_later_writer_keeps_what_is_there(tmp_path: Path) -> None:
    write_arrays(tmp_path / "arrays", {"a": np.zeros(2)})
    write_arrays(tmp_path / "arrays", {"a": np.ones(2)})
    np.testing.assert_array_equal(read_arrays(tmp_path / "arrays", "a")[0], np.zeros(2))
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "arrays").write_text("a file is in the way")
    with pytest.raises(OSError, match="arrays"):
        write_arrays(tmp_path / "arrays", {"a": np.zeros(2)})
    assert [path.name for path in tmp_path.iterdir()] == ["arrays"]
