"""The commands that look at a storage, on each kind of it."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import optuna
import pytest
from services.proxy import Proxy
from services.server import free_port
from shell import PLAIN, Shell

from studies.errors import BadInput
from studies.storage.opening import open_existing, open_storage

KINDS = ["sqlite", "journal", "postgresql", "mariadb", "grpc"]
OPTIONS = {"mariadb": "mysql"}


@pytest.fixture
def kind_and_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The config's word and the address of an empty storage of the kind that the test asks for."""
    kind = request.param
    if kind == "grpc":
        with Proxy(f"sqlite:///{tmp_path}/proxied.db") as proxy:
            yield kind, proxy.url
    elif kind in ("sqlite", "journal"):
        scheme = "sqlite:///" if kind == "sqlite" else "journal:"
        yield kind, f"{scheme}{tmp_path}/studies.{kind}"
    else:
        yield OPTIONS.get(kind, kind), str(request.getfixturevalue(f"{kind}_url"))


@pytest.mark.slow
@pytest.mark.parametrize("kind_and_url", KINDS, indirect=True)
def test_run_report_list_and_dashboard_work_on_every_storage(shell: Shell, kind_and_url: tuple[str, str]) -> None:
    kind, url = kind_and_url
    place = [f"storage={kind}", f"storage.url='{url}'"]
    arguments = [*PLAIN, *place, "n_trials=4", "workers=2"]
    assert "4 of 4 trials finished" in shell.run("run", *arguments)
    assert "study plain is finished" in shell.run("run", *arguments)
    shell.run("report", *arguments)
    assert (shell.folder / "outputs" / "plain" / "report.md").exists()
    assert re.search(r"plain .*4 of 4", shell.run("list", *place))
    port = free_port()
    dashboard = shell.start("dashboard", *place, f"dashboard.port={port}")
    assert dashboard.stdout is not None
    assert f"127.0.0.1:{port}/  (1 studies" in dashboard.stdout.readline()
    names = [study["study_name"] for study in fetch(f"http://127.0.0.1:{port}/api/studies")["study_summaries"]]
    dashboard.send_signal(signal.SIGINT)
    output, _ = dashboard.communicate(timeout=30)
    assert names == ["plain"]
    assert dashboard.returncode in (0, 130), output


def fetch(url: str) -> dict[str, list[dict[str, str]]]:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urlopen(url) as answer:
                return dict(json.load(answer))
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("kind_and_url", ["sqlite", "journal", "postgresql", "mariadb"], indirect=True)
def test_a_storage_without_studies_is_not_made_by_looking_at_it(kind_and_url: tuple[str, str]) -> None:
    _, url = kind_and_url
    for _ in range(2):
        with pytest.raises(BadInput, match="run a study first"):
            open_existing(url)
    optuna.create_study(study_name="s", storage=open_storage(url))
    assert [study.study_name for study in open_existing(url).get_all_studies()] == ["s"]
