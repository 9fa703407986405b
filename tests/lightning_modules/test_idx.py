import gzip
from pathlib import Path

import numpy as np
import pytest
from images import idx_bytes

from lightning_modules.data.idx import read_idx

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize("array", [ARRAY, np.array([3, 1, 4], dtype=np.uint8)])
def test_plain_and_compressed_files_give_their_array(tmp_path: Path, array: np.ndarray) -> None:
    (tmp_path / "plain").write_bytes(idx_bytes(array))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx_bytes(array)))
    for name in ("plain", "packed.gz"):
        got = read_idx(tmp_path / name)
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, array)


def test_the_magic_number_of_mnist_images_is_known() -> None:
    assert idx_bytes(ARRAY)[:4] == (2051).to_bytes(4, "big")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x00\x00\x08", "not an IDX file"),
        (b"<html>" * 10, "starts with '3c 68 74 6d': not an IDX file"),
        (b"\x00\x00\x0d\x03" + idx_bytes(ARRAY)[4:], "not an IDX file of unsigned bytes"),
        (idx_bytes(ARRAY)[:10], "10 bytes and ends within its header"),
        (idx_bytes(ARRAY)[:-1], "39 bytes where its header asks for 40"),
        (idx_bytes(ARRAY) + b"\x00", "41 bytes where its header asks for 40"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    for name, stored in (("damaged", content), ("damaged.gz", gzip.compress(content))):
        (tmp_path / name).write_bytes(stored)
        with pytest.raises(ValueError, match=f"{name} .*{message}"):
            read_idx(tmp_path / name)


@pytest.mark.parametrize("keep", [5, 30])
def test_a_damaged_archive_is_named(tmp_path: Path, keep: int) -> None:
    archive = tmp_path / "cut.gz"
    archive.write_bytes(gzip.compress(idx_bytes(ARRAY))[:keep])
    with pytest.raises(ValueError, match=r"cut\.gz is no complete gzip file"):
        read_idx(archive)
    archive.write_bytes(b"no gzip at all")
    with pytest.raises(ValueError, match=r"cut\.gz is no complete gzip file"):
        read_idx(archive)
