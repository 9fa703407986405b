"""What a command prints or writes of its config is without secrets, whichever flag asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from omegaconf import DictConfig

from studies.cli.command import command
from studies.cli.uncomposed import COMPOSITION_ERRORS, all_problems
from studies.config.composing.configs import compose
from studies.config.shown_config import without_secrets_in

SECRETS = {
    "api_key": "literal-secret",
    "credentials": {"user": "bob-secret", "port": 3},
    "header": "${oc.env:MY_TOKEN}",
}
GIVEN = (
    "+study=digits",
    "++vars.api_key=literal-secret",
    "++vars.credentials={user: bob-secret, port: 3}",
    "++vars.header='${oc.env:MY_TOKEN}'",
)
Run = Callable[..., str]


def task(config: DictConfig) -> int:
    """Print what the command itself gets of the secrets."""
    print(sorted(str(config.vars[key]) for key in SECRETS))
    return 0


@pytest.fixture
def run(as_command: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command in this process, in a folder of its own; what it prints."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["run", *GIVEN, *arguments])
        with pytest.raises(SystemExit) as ended:
            command(task)()
        assert ended.value.code == 0
        return capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MY_TOKEN", "environment-secret")
    return run


@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (("--cfg", "job"), "header: ${oc.env:MY_TOKEN}"),
        (("--cfg", "job", "--resolve"), "header: '***'"),
        (("-c", "job", "-p", "vars"), "port: 3"),
        (("--cfg=job", "--package=vars.credentials"), "user: '***'"),
        (("--cfg", "job", "-p", "vars.api_key"), "***"),
        (("--cfg", "all"), "++vars.api_key=***"),
        (("--info", "all"), "api_key: ***"),
        (("--help-all",), "api_key: ***"),
    ],
)
def test_a_config_is_shown_without_its_secrets(run: Run, flags: tuple[str, ...], shown: str) -> None:
    output = run(*flags)
    assert shown in output
    assert "-secret" not in output


def test_a_job_gets_its_secrets_and_the_files_and_folders_of_a_sweep_hold_none(run: Run, tmp_path: Path) -> None:
    output = run("--multirun", "hydra.sweep.subdir='${hydra:job.override_dirname}'", "n_trials=1,2")
    assert output.count("'environment-secret', 'literal-secret'") == 2
    (written,) = tmp_path.rglob("multirun.yaml")
    assert yaml.safe_load(written.read_text())["vars"]["api_key"] == "***"
    assert "-secret" not in written.read_text() + str([*tmp_path.rglob("*")])
    assert len([*tmp_path.rglob("*n_trials=2*")]) == 1


@pytest.mark.parametrize(
    "override",
    [
        "+vars.inner={api_key: unseen-secret",
        "+vars.inner={api_key: [unseen-secret}",
        '+vars.passphrase=correct unseen-secret: "battery',
        "+vars.passphrase={a: unseen-secret, b",
        "varz.api_key={b: unseen-secret}",
        "varz.api_key=a unseen-secret",
    ],
)
def test_an_override_that_does_not_compose_is_told_without_its_secret(override: str) -> None:
    given = ["+study=digits", override]
    with pytest.raises(COMPOSITION_ERRORS) as caught:
        compose(given)
    (problem,) = all_problems(given, caught.value)
    assert "unseen-secret" not in str(problem)
    assert problem.key in ("vars.inner", "vars.passphrase", "varz.api_key")


def test_a_config_that_is_shown_hides_secrets_and_keeps_references() -> None:
    shown = without_secrets_in("a: {api_key: abcdef, hf_token: '${oc.env:HF}', class_token: false}\n")
    assert "abcdef" not in shown
    assert "hf_token: ${oc.env:HF}" in shown
    assert "class_token: false" in shown
    assert without_secrets_in("user: bob\nport: 3\n", package="vars.credentials") == "user: '***'\nport: 3\n"
    assert without_secrets_in("bob\n", package="vars.api_key") == "***\n"
    assert without_secrets_in("--- of\n- no: YAML\n  api_key: bob\n as: a whole\n").count("bob") == 0
    assert without_secrets_in("b:   1 # as it stands\n") == "b:   1 # as it stands\n"
