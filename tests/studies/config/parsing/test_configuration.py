"""A best.yaml that somebody edited: everything that is wrong with it in one message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from studies.config.parsing.configuration import missing_secrets, read_configuration, with_secrets
from studies.errors import BadInput, StudyError
from studies.retrain import retrain

SECRETS = {"model": {"hf_token": "${oc.env:MY_HF_TOKEN}", "keys": [{"api_key": "???"}], "lr": 0.1}}
GOOD: dict[str, Any] = {
    "study": "digits",
    "trial": 3,
    "value": 0.9,
    "n_seeds": 2,
    "training_seed": 7,
    "objective": {"metric": "val/accuracy", "direction": "maximize", "value": "last"},
    "budget": {"unit": "epochs", "amount": 2, "rungs": 2},
    "threads": None,
    "model": {"_target_": "lightning_modules.Classifier"},
    "datamodule": None,
}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"budget": 3}, "budget is 3: give a mapping"),
    ({"budget": {"unit": "epoch", "amount": 2, "rungs": 2}}, "budget.unit is 'epoch': did you mean epochs"),
    ({"budget": {"unit": "epochs", "amount": 1e12, "rungs": None}}, "budget.amount is 1000000000000.0"),
    ({"objective": [1]}, r"objective is \[1\]: give a mapping"),
    ({"objective": {"metric": 3}}, "objective.metric is 3: give a non-empty text"),
    ({"objective": {"metric": "a", "direction": "up"}}, "objective.direction is 'up'"),
    ({"model": 3}, "model is 3: give a mapping"),
    ({"model": {"_target_": 3}}, "model._target_ is 3: give a non-empty text"),
    ({"model": {"lr": 3}}, "model has no _target_"),
    ({"callbacks": {"x": 3}}, "callbacks.x has no _target_"),
    ({"loggers": {"x": ["a"]}}, "loggers.x has no _target_"),
    ({"trainer": {"max_epochs": 5}}, "trainer.max_epochs is set by the framework: use budget.unit=epochs"),
    ({"trainer": {"callbacks": [1]}}, "trainer.callbacks is set by the framework"),
    ({"training_seed": "x"}, "training_seed is 'x': give a whole number"),
    ({"training_seed": 2**32}, "training_seed is 4294967296: give a whole number of at most"),
    ({"value": "good"}, "value is 'good': give a number"),
    ({"devices_per_trial": 0}, "devices_per_trial is 0"),
    ({"threads": 10**9}, "threads is 1000000000: give a whole number of at most 10000"),
    ({"trainer": "x"}, "trainer is 'x': give a mapping"),
    ({"datamodule": [1]}, r"datamodule is \[1\]: give a mapping"),
    ({"selection": {"test": {"a": {"n_seeds": "many"}}}}, "selection.test.a.n_seeds is 'many'"),
    ({"vars": {"x": 16**300}}, "vars.x is a whole number of 1201 bits"),
]


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "best.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_what_a_study_wrote_is_read(tmp_path: Path) -> None:
    assert read_configuration(written(tmp_path, yaml.safe_dump(GOOD))) == GOOD
    selected = {**GOOD, "value": None, "selection": {"test": {"test/accuracy": {"n_seeds": 8}}}}
    assert read_configuration(written(tmp_path, yaml.safe_dump(selected))) == selected


def test_whole_numbers_are_read_as_such_and_missing_rungs_are_filled_in(tmp_path: Path) -> None:
    given = {"training_seed": 7.0, "threads": 2.0, "n_seeds": 3.0, "devices_per_trial": None}
    budget = {"unit": "steps", "amount": 40.0, "rungs": None}
    read = read_configuration(written(tmp_path, yaml.safe_dump({**GOOD, **given, "budget": budget})))
    assert [repr(read[key]) for key in given] == ["7", "2", "3", "None"]
    assert repr(read["budget"]) == "{'unit': 'steps', 'amount': 40, 'rungs': 10}"


@pytest.mark.parametrize(("changes", "told"), WRONG, ids=[told for _, told in WRONG])
def test_a_wrong_value_is_told_with_file_key_value_and_remedy(tmp_path: Path, changes: Any, told: str) -> None:
    path = written(tmp_path, yaml.safe_dump({**GOOD, **changes}))
    with pytest.raises(BadInput, match=rf"config is {path}, where {told}"):
        read_configuration(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "which holds no mapping"),
        ("[1]", "which holds no mapping"),
        ("a: 1", "which lacks model, training_seed, objective, budget"),
        (yaml.safe_dump({**GOOD, "budget": {"unit": "epochs"}}), r"which lacks budget\.amount, budget\.rungs"),
        (bytes(range(256)), "which cannot be read"),
        ("a:\n\t- b", "which is no YAML"),
        (yaml.safe_dump(GOOD) + "model: {}", "which has the key model twice"),
        (yaml.safe_dump(GOOD) + "x: &x [*x]", "which stands for more than 100000 values"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, content: str | bytes, told: str) -> None:
    with pytest.raises(BadInput, match=told) as caught:
        read_configuration(written(tmp_path, content))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("path", [".", "nope.yaml", "x" * 5000, "/dev/zero", "a\0b"])
def test_a_path_that_leads_to_no_file_is_told(path: str) -> None:
    with pytest.raises(BadInput, match=r"config is .*: give"):
        read_configuration(Path(path))


def test_a_configuration_without_its_study_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {key: value for key, value in GOOD.items() if key != "study"} | {"n_seeds": None, "devices_per_trial": None}
    path = written(tmp_path, yaml.safe_dump({**given, "model": {"_target_": "no.such.Module"}}))
    with pytest.raises(StudyError, match="the training failed"):
        retrain(OmegaConf.create({"config": str(path)}))
    assert "training trial 3 for 2 epochs" in capsys.readouterr().out


def test_a_secret_that_is_not_there_is_asked_for_by_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MY_HF_TOKEN", raising=False)
    told = [str(problem) for problem in missing_secrets(SECRETS)]
    assert len(told) == 2
    assert told[0].startswith("model.hf_token reads the environment variable MY_HF_TOKEN, which is not set")
    assert told[1].startswith("model.keys.0.api_key is ")


def test_a_secret_of_the_environment_is_put_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_HF_TOKEN", "the value")
    assert with_secrets(SECRETS)["model"]["hf_token"] == "the value"
    assert [problem.key for problem in missing_secrets(SECRETS)] == ["model.keys.0.api_key"]


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
