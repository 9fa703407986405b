"""The built wheel carries the configs inside `studies`, puts nothing else at the top, and works without a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("lightning_studies-*.whl")
    return path


def test_nothing_but_the_two_packages_reaches_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"studies", "lightning_modules"}
    assert "studies/conf/config.yaml" in names
    assert "studies/conf/study/mnist.yaml" in names
    assert "lightning_modules/data/mnist.py" in names
    assert "studies/sampler_benchmark/data/digits_mlp.npz" in names


@pytest.mark.slow
def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path, data_dir: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (tmp_path / "data").symlink_to(data_dir)
    command = [sys.executable, "-m", "studies.run", "+study=digits", "n_trials=1", "budget.amount=1", "launcher=serial"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 trials finished" in done.stdout
    where = subprocess.run(
        [sys.executable, "-c", "import studies; print(studies.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(site))
