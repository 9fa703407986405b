from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
import torch
from composing import composed, is_choice
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from services.mariadb import MariaDB, mariadb
from services.postgresql import PostgreSQL, postgresql
from services.ray_cluster import RayCluster
from services.slurm import SlurmCluster
from shell import USERS, InProcess, Shell
from sleepers import Sleepers

from studies.cli.validation import CHECKS
from studies.config.parsing.settings import parse_settings
from studies.config.settings import StudySettings
from studies.process.signals import SIGNALS
from studies.reporting import writer

MakeSettings = Callable[..., StudySettings]
MEMORY, ROOM = Path("/dev/shm"), 8 * 2**30  # of Linux; bytes


def pytest_configure() -> None:
    """Keep the tests' files in memory where there is room, for a database on a disk waits for it at each commit."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ROOM and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(autouse=True)
def _quiet_and_single_threaded() -> None:
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def pictures() -> None:
    """A test that asks for them draws the pictures of its reports."""


@pytest.fixture(autouse=True)
def _no_other_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pictures are not at stake, their files stay empty: drawing takes most of the time of a report."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr(writer, "draw_picture", lambda path, _: path.touch())


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for prepared data, so that they are parsed once a test run."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def make_settings(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSettings:
    """Settings of a study (digits unless another is named) whose files all lie in tmp_path."""
    monkeypatch.syspath_prepend(str(USERS))

    def make(*overrides: str, study: str | None = "digits") -> StudySettings:
        named = [f"+study={study}"] if study else []
        places = {"output_dir": f"{tmp_path}/out", "storage.url": f"sqlite:///{tmp_path}/studies.db"}
        if study not in ("plain", "bowl", "sorts", "sampler_benchmark"):
            places["datamodule.data_dir"] = str(data_dir)
        config = composed(*named, *overrides)
        for key, value in places.items():
            if not any(_sets(override, key) for override in overrides):
                OmegaConf.update(config, key, value)
        return parse_settings(config, checks=CHECKS)

    return make


def _sets(override: str, key: str) -> bool:
    """Whether an override gives `key` a value, removes it, or replaces the part of the config that it is in."""
    given = override.lstrip("+~").partition("=")[0]
    return given == key or (key.startswith(f"{given}.") and not is_choice(override))


@pytest.fixture
def shell(tmp_path: Path, data_dir: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path, data_dir)
    yield shell
    shell.close()


@pytest.fixture
def as_command(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command may run in this process, which keeps its environment, its hook for exceptions, its handlers of signals,
    and what Hydra and OmegaConf know of a command.
    """
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(HydraConfig.instance(), "cfg", HydraConfig.instance().cfg)
    handlers, environment = {number: signal.getsignal(number) for number in SIGNALS}, dict(os.environ)
    yield
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    OmegaConf.clear_resolver("purpose")  # of the command's own help
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql_server: PostgreSQL) -> str:
    """A fresh, empty database."""
    return postgresql_server.new_database()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDB]:
    with mariadb() as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb_server: MariaDB) -> str:
    """A fresh, empty database."""
    return mariadb_server.new_database()


@pytest.fixture
def sleepers(tmp_path: Path) -> Iterator[Callable[..., Sleepers]]:
    """Makes groups of workers whose trials only sleep; what is left of them is killed in the end."""
    made: list[Sleepers] = []

    def make(url: str, *asked: str, **options: float) -> Sleepers:
        made.append(Sleepers(url, tmp_path, *asked, **options))
        return made[-1]

    yield make
    for group in made:
        group.end()


@pytest.fixture(scope="session")
def slurm() -> Iterator[SlurmCluster]:
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)  # munged runs as another user
    cluster = SlurmCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[RayCluster]:
    """Two nodes of one CPU."""
    cluster = RayCluster()
    try:
        cluster.start(cpus=(1, 1))
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def in_process(
    tmp_path: Path,
    data_dir: Path,
    as_command: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[InProcess]:
    shell = InProcess(tmp_path, data_dir, monkeypatch, capsys)
    yield shell
    shell.close()
