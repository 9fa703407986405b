"""The storage's password reaches nothing that is written or printed."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import optuna
import pytest
from services.postgresql import PostgreSQL
from services.server import PASSWORD
from shell import PLAIN, Shell

from studies.secrets.masking import without_secrets
from studies.secrets.texts import masked
from studies.storage.address import NoAddress, read_address, without_password
from studies.storage.opening import open_storage

SECRETS = (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD))
URL = "${oc.env:STUDIES_STORAGE_URL}"


def refuse(text: str, where: object) -> None:
    for secret in SECRETS:
        assert secret not in text, where


def refuse_in_files(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"report.md", "best.yaml", "worker-0.log"} <= {path.name for path in files}
    for path in files:
        refuse(path.read_bytes().decode(errors="replace"), path)


def refuse_in_storage(url: str) -> None:
    study = optuna.load_study(study_name="plain", storage=open_storage(url))
    trials = [(trial.user_attrs, trial.system_attrs) for trial in study.trials]
    refuse(json.dumps([study.user_attrs, trials], default=str), "the storage")


@pytest.mark.slow
@pytest.mark.parametrize("by", ["url", "url_env"])
def test_a_study_writes_no_password_anywhere(shell: Shell, postgresql_server: PostgreSQL, by: str) -> None:
    """Not where it runs well, not in a trial's traceback, not in an interpolation of the module's own config."""
    url = postgresql_server.new_database()
    shell.environment["STUDIES_STORAGE_URL"] = url
    place = ["storage=postgresql", *([f"storage.url='{url}'"] if by == "url" else [])]
    arguments = [*PLAIN, *place, "n_trials=6", "workers=1", "model.behaviour=raise"]
    arguments += ["model.at=15", "model.above=0.01", "max_retries=0", f"+model.tracking_uri='{URL}'"]
    outputs = [shell.run("run", *arguments), shell.run("report", *arguments), shell.run("list", *place)]
    outputs.append(shell.run("run", *arguments, "model.n_samples=50", code=2))
    outputs.append(shell.run("check", *arguments, "storage.url=postgresql://u:pa55:w@127.0.0.1:1/x", code=2))
    postgresql_server.stop()
    try:
        outputs.append(shell.run("report", *arguments, code=2))
    finally:
        postgresql_server.start()
    refuse("".join(outputs), "the output")
    assert "pa55" not in "".join(outputs)
    refuse_in_files(shell.folder / "outputs")
    refuse_in_storage(url)
    shell.wait_for_log("plain", "*/worker-0.log", "Traceback")
    assert (
        "tracking_uri: ${oc.env:STUDIES_STORAGE_URL}" in (shell.folder / "outputs" / "plain" / "best.yaml").read_text()
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("mysql+pymysql://me:secret@host:3306/db?charset=utf8", "mysql+pymysql://me:***@host:3306/db?charset=utf8"),
        ("postgresql://host/db?user=me&password=secret", "postgresql://host/db?password=***&user=me"),
        ("postgresql://me:sec@ret@host/db", "(hidden)"),
        ("postgresql://me:secret@host:port/db", "(hidden)"),
        ("grpc://me:secret@host:13000", "(hidden)"),
        ("grpc://host", "grpc://host"),
        ("journal:outputs/s.journal", "journal:outputs/s.journal"),
        ("nonsense", "'nonsense'"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_the_text_of_an_address_does_not_hold_the_url() -> None:
    assert "secret" not in repr(read_address("postgresql://me:secret@host/db"))


def test_a_password_with_a_bare_at_sign_is_refused_without_showing_it() -> None:
    with pytest.raises(NoAddress, match="write %40"):
        read_address("postgresql://me:sec@ret@host/db")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("is postgresql://me:secret@host/db, no", "is postgresql://me:***@host/db, no"),
        ("is 'postgresql://me:sec@re/t@host/db'", "is 'postgresql://me:***@host/db'"),
        ("x://h/db?user=me&password=secret&a=1", "x://h/db?user=me&password=***&a=1"),
        ("http://host:80/path and me@example", "http://host:80/path and me@example"),
    ],
)
def test_passwords_in_any_message_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize("mistake", ["storage={url}", "storge.url={url}", "storage.url={url},", "storage.url={url}{{"])
def test_a_mistyped_override_does_not_show_the_password(shell: Shell, mistake: str) -> None:
    output = shell.run("list", mistake.format(url="postgresql://me:secret@host/db"), code=2)
    assert "secret" not in output
    assert "problem" in output


def test_a_password_in_a_url_of_the_config_is_masked_whatever_its_key_is() -> None:
    config = {"loggers": [{"uri": "http://me:secret@host/x", "name": "a:b@c"}]}
    assert without_secrets(config) == {"loggers": [{"uri": "http://me:***@host/x", "name": "a:b@c"}]}
