import hashlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from lightning_modules.data.data_set import PixelScale
from lightning_modules.data.idx_files import FILES, IdxFiles

WriteIdxFiles = Callable[..., Path]
NOWHERE = "http://127.0.0.1:9/"  # the discard port: refused at once


def data_set(data_dir: Path, *, mirror: str = NOWHERE, md5: dict[str, str] | None = None) -> IdxFiles:
    sums = md5 or dict.fromkeys(FILES, "0" * 32)
    scale = PixelScale(white=255, mean=0.5, sd=0.5)
    return IdxFiles(str(data_dir), folder="Some", mirror=mirror, scale=scale, md5=sums)


@pytest.fixture
def mirror(tmp_path: Path, write_idx_files: WriteIdxFiles) -> Iterator[tuple[str, dict[str, str]]]:
    raw = write_idx_files(tmp_path / "served", folder="Some", compressed=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(raw))) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        sums = {file: hashlib.md5((raw / f"{file}.gz").read_bytes()).hexdigest() for file in FILES}
        yield f"http://127.0.0.1:{server.server_address[1]}/", sums
        server.shutdown()


@pytest.mark.parametrize("compressed", [True, False])
def test_files_on_disk_are_read_without_a_network(
    tmp_path: Path, write_idx_files: WriteIdxFiles, compressed: bool
) -> None:
    write_idx_files(tmp_path, folder="Some", compressed=compressed)
    images = data_set(tmp_path).read()
    assert images.pixels.shape == (150, 1, 28, 28)
    assert images.pixels[:, 0, 5, 7].tolist() == [*range(120), *range(200, 230)]
    assert images.labels.tolist() == [*(n % 10 for n in range(120)), *(n % 10 for n in range(30))]


def test_the_test_file_tests_and_a_twelfth_of_the_training_file_validates(
    tmp_path: Path, write_idx_files: WriteIdxFiles
) -> None:
    write_idx_files(tmp_path, folder="Some")
    labels = data_set(tmp_path).read().labels
    first, second = (data_set(tmp_path).split(labels, seed=seed) for seed in (1, 2))
    assert len(first.val) == 10
    assert np.bincount(labels[first.val]).tolist() == [1] * 10
    assert first.test.tolist() == list(range(120, 150))
    assert sorted([*first.train, *first.val, *first.test]) == list(range(150))
    assert set(first.val) != set(second.val)


def test_missing_files_are_downloaded_once_and_checked(
    tmp_path: Path, mirror: tuple[str, dict[str, str]], write_idx_files: WriteIdxFiles
) -> None:
    url, sums = mirror
    downloaded = data_set(tmp_path, mirror=url, md5=sums).read()
    assert sorted(path.name for path in (tmp_path / "Some" / "raw").iterdir()) == sorted(f"{file}.gz" for file in FILES)
    np.testing.assert_array_equal(data_set(tmp_path).read().pixels, downloaded.pixels)


def test_a_wrong_checksum_is_refused(tmp_path: Path, mirror: tuple[str, dict[str, str]]) -> None:
    with pytest.raises(FileNotFoundError, match=r"train-images-idx3-ubyte\.gz.* cannot be downloaded .*hash"):
        data_set(tmp_path, mirror=mirror[0]).read()
    assert not list((tmp_path / "Some" / "raw").glob("*.gz"))


def test_a_failed_download_names_files_folder_and_remedy(tmp_path: Path, write_idx_files: WriteIdxFiles) -> None:
    raw = write_idx_files(tmp_path, folder="Some")
    (raw / FILES[1]).unlink()
    (raw / FILES[3]).unlink()
    with pytest.raises(FileNotFoundError) as caught:
        data_set(tmp_path).read()
    message = str(caught.value)
    assert message.startswith(f"{FILES[1]}.gz, {FILES[3]}.gz cannot be downloaded (")
    assert message.endswith(f"put them into {raw}, from {NOWHERE}")


def test_a_file_that_does_not_match_its_partner_is_named(tmp_path: Path, write_idx_files: WriteIdxFiles) -> None:
    raw = write_idx_files(tmp_path, folder="Some")
    shutil.copy(raw / FILES[3], raw / FILES[1])
    with pytest.raises(ValueError, match=rf"{FILES[1]} is \(\(120, 28, 28\), \(30,\)\): the file must have one label"):
        data_set(tmp_path).read()


def test_replaced_files_change_the_name(
    tmp_path: Path, write_idx_files: WriteIdxFiles, idx_contents: dict[str, bytes]
) -> None:
    raw = write_idx_files(tmp_path, folder="Some")
    before = data_set(tmp_path).name()
    assert data_set(tmp_path).name() == before
    (raw / FILES[0]).write_bytes(idx_contents[FILES[0]] + b"\x00")
    assert data_set(tmp_path).name() != before
