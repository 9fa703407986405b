"""A file for a retraining names its secrets, and a config that is shown hides them."""

from __future__ import annotations

import pytest

from studies.config.parsing.given_secrets import missing_secrets, with_secrets
from studies.config.shown_config import without_secrets_in

FILE = {"model": {"hf_token": "${oc.env:MY_HF_TOKEN}", "keys": [{"api_key": "???"}], "lr": 0.1}}


def test_a_secret_that_is_not_there_is_asked_for_by_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_HF_TOKEN", raising=False)
    told = [str(problem) for problem in missing_secrets(FILE)]
    assert len(told) == 2
    assert told[0].startswith("model.hf_token reads the environment variable MY_HF_TOKEN, which is not set")
    assert told[1].startswith("model.keys.0.api_key is ")


def test_a_secret_of_the_environment_is_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_HF_TOKEN", "the value")
    assert with_secrets(FILE)["model"]["hf_token"] == "the value"
    assert [problem.key for problem in missing_secrets(FILE)] == ["model.keys.0.api_key"]


def test_variables_in_quotes_in_defaults_and_with_none_are_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_OWN", raising=False)
    monkeypatch.setenv("MY_HF_TOKEN", "the value")
    written = ["${oc.env:MY_OWN,${oc.env:MY_HF_TOKEN}}", "${oc.env:'MY_HF_TOKEN'}", "${oc.env:MY_OWN,null}", "a ${x}"]
    assert not [*missing_secrets({"a": written})]
    assert with_secrets(written) == ["the value", "the value", None, "a ${x}"]
    monkeypatch.delenv("MY_HF_TOKEN")
    told = [str(problem) for problem in missing_secrets({"a": written})]
    assert [problem.partition(",")[0] for problem in told] == [
        f"a.{i} reads the environment variable MY_HF_TOKEN" for i in (0, 1)
    ]


def test_a_config_that_is_shown_hides_secrets_and_keeps_references() -> None:
    shown = without_secrets_in("a: {api_key: abcdef, hf_token: '${oc.env:HF}', class_token: false}\n")
    assert "abcdef" not in shown
    assert "hf_token: ${oc.env:HF}" in shown
    assert "class_token: false" in shown
    assert without_secrets_in("user: bob\nport: 3\n", package="vars.credentials") == "user: '***'\nport: 3\n"
    assert without_secrets_in("bob\n", package="vars.api_key") == "***\n"
    assert without_secrets_in("--- of\n- no: YAML\n  api_key: bob\n as: a whole\n").count("bob") == 0
    assert without_secrets_in("b:   1 # as it stands\n") == "b:   1 # as it stands\n"
