"""Names that would become odd files, columns and labels are refused, each with the rule."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial
from written import changed, problems_of, read

from studies.cli.validation import refuse_bad_name, validate_and_open
from studies.config.composing.configs import as_meant, compose
from studies.errors import BadInput, Problem
from studies.hypotheses.parts import part_names
from studies.report import report
from studies.text.naming import why_no_name

ODD = {
    "nul": ("a\0b", "holds U+0000, not visible"),
    "control": ("a\x1b[31m", "holds U+001B, not visible"),
    "tab": ("a\tb", "holds U+0009, not visible"),
    "right to left": ("a\u202eb", "holds U+202E, not visible"),
    "no width": ("a\u200bb", "holds U+200B, not visible"),
    "blank first": (" a", "begins or ends with a blank"),
    "blank last": ("a ", "begins or ends with a blank"),
    "long": ("x" * 201, "takes 201 bytes, and a name has at most 200"),
    "long in bytes": ("ä" * 101, "takes 202 bytes"),
}
ENTRY = {"path": "model.optimizer.lr", "type": "float", "low": 0.1, "high": 0.2}
CALLBACK = {"_target_": "pytorch_lightning.callbacks.Timer"}
odd_names = pytest.mark.parametrize(("name", "why"), ODD.values(), ids=ODD.keys())


@pytest.mark.parametrize("name", ["a", "a b", "größe 模型", "a/b", "x" * 200, "e-1_2.3"])
def test_a_usual_name_is_one(name: str) -> None:
    assert why_no_name(name) is None
    assert read(study_name=name, output_dir="outputs").study_name == name


@odd_names
def test_an_odd_name_of_a_study_is_refused_by_every_command(name: str, why: str) -> None:
    config = changed(study_name=name, output_dir="outputs")
    (problem,) = problems_of(study_name=name, output_dir="outputs")
    assert problem.key == "study_name"
    assert why in problem.complaint
    assert str(problem).isprintable()
    with pytest.raises(BadInput, match="study_name is "):
        refuse_bad_name(config)


@odd_names
def test_an_odd_name_of_a_parameter_a_callback_or_a_logger_is_refused(name: str, why: str) -> None:
    config = copy.deepcopy(changed())
    config["search_space"] = {name: ENTRY}
    config["callbacks"] = {name: CALLBACK}
    config["loggers"] = {name: {"_target_": "pytorch_lightning.loggers.CSVLogger"}}
    config["storage"]["url"], config["launcher"] = "memory", {"name": "serial"}
    with pytest.raises(BadInput) as caught:
        validate_and_open(config)
    told = {problem.key: problem.complaint for problem in caught.value.problems}
    assert {"search_space", "callbacks", "loggers"} <= set(told)
    assert all(why in told[key] for key in ("search_space", "callbacks", "loggers"))


@odd_names
def test_an_odd_name_of_a_part_of_a_hypothesis_is_refused(name: str, why: str) -> None:
    with pytest.raises(BadInput, match=r"hypothesis\.parts holds .*give the part another name") as caught:
        part_names(OmegaConf.create({"hypothesis": {"parts": {name: {}}}}))
    assert why in str(caught.value)


def admitted(tmp_path: Path, output_dir: str) -> tuple[Problem, ...]:
    config: DictConfig = changed(output_dir=output_dir, storage__url="memory", launcher={"name": "serial"})
    with pytest.raises(BadInput) as caught:
        validate_and_open(config)
    return caught.value.problems


@pytest.mark.parametrize(
    ("output_dir", "why"),
    [
        ("/proc/nope", "cannot be made (No such file or directory)"),
        ("{tmp}/" + "x" * 256, "has a part of more than 255 bytes"),
        ("{tmp}/" + "y/" * 2000, "is longer than 3800 bytes"),
        ("{tmp}/file", "cannot be written"),
        ("{tmp}/file/below", "cannot be written"),
        ("{tmp}/a\0b", "which holds a NUL"),
    ],
)
def test_a_folder_that_cannot_be_made_is_told_by_its_key(tmp_path: Path, output_dir: str, why: str) -> None:
    (tmp_path / "file").write_text("in its place")
    (problem,) = admitted(tmp_path, output_dir.replace("{tmp}", str(tmp_path)))
    assert problem.key == "output_dir"
    assert why in problem.complaint


@pytest.mark.parametrize("given", [None, 3, ["a"], {"a": 1}, "${nope}"], ids=repr)
def test_what_is_no_text_names_no_study(given: Any) -> None:
    assert {problem.key for problem in problems_of(study_name=given, output_dir="outputs")} == {"study_name"}


@pytest.mark.parametrize("name", ["a\x1b[31m", "a\tb", "a\u202eb", "a ", "two\nlines"], ids=repr)
def test_a_study_of_another_tool_with_an_odd_name_is_reported_into_a_folder_that_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    study = optuna.create_study(study_name=name, storage=url)
    study.add_trial(create_trial(value=0.5, params={"x": 0.5}, distributions={"x": FloatDistribution(0.0, 1.0)}))
    config = compose([f"storage.url='{url}'", f"output_dir={tmp_path}/out", "analysis=none"])
    config.study_name = name
    assert report(config) == 0
    shown = capsys.readouterr().out + (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert not [character for character in shown if not character.isprintable() and character not in "\n\t"]
    config.output_dir = f"{tmp_path}/{name}"
    with pytest.raises(BadInput, match=r"output_dir is to bear the study's name .*: give output_dir=FOLDER"):
        report(config)


@pytest.mark.parametrize("name", ["logs", "figures", "select", "trials"])
def test_a_file_in_the_place_of_a_folder_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    (problem,) = admitted(tmp_path, str(tmp_path))
    assert str(problem).startswith(f"output_dir is {tmp_path}, where {name} is a file instead of a folder")


def test_the_home_folder_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = compose(["+study=digits", "study_name=mine"])
    config.output_dir = "~/out/${study_name}"  # of a file, or in quotes
    assert str(as_meant(config, [], []).output_dir) == f"{tmp_path}/out/mine"
