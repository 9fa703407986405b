"""Workers behind Optuna's gRPC proxy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
from services.proxy import Proxy
from sleepers import Sleepers

from studies import schema
from studies.errors import BadInput
from studies.storage.opening import open_storage


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    with Proxy(f"sqlite:///{tmp_path}/s.db") as proxy:
        yield proxy


@pytest.mark.slow
def test_four_processes_spend_the_budget_exactly_though_the_proxy_is_started_anew(
    proxy: Proxy, sleepers: Callable[..., Sleepers]
) -> None:
    group = sleepers(proxy.url, "n_trials=24", seconds=0.3)
    group.start(4)
    group.wait_for(lambda: group.n_complete() >= 4)
    proxy.stop()
    proxy.start()
    group.leave()
    group.check_exact()
    assert not [trial for trial in group.study().trials if schema.RETRY_OF in trial.user_attrs]


def test_a_forked_process_does_not_disturb_its_parent(proxy: Proxy) -> None:
    """As a DataLoader's workers do, which never use the storage themselves."""
    study = optuna.create_study(study_name="s", storage=open_storage(proxy.url))
    children = [os.fork() for _ in range(2)]
    if 0 in children:
        os._exit(0)
    study.tell(study.ask(), 1.0)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert study.trials[0].value == 1.0


def test_a_proxy_that_is_not_there_is_one_clear_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("studies.storage.opening.GRPC_READY_S", 0.5)
    with pytest.raises(BadInput, match=r"storage\.url is grpc://127\.0\.0\.1:1, .*start the server"):
        open_storage("grpc://127.0.0.1:1")
