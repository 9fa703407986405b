"""Options of one's own: names stay the texts that they are in YAML, and nothing of them is hidden."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf
from shell import USERS

from studies.config.composing.configs import compose, config_dir, group_options, shadowed
from studies.config.composing.yaml_names import doubtful_values, with_quoted_names
from studies.config.parsing.settings import parse_settings
from studies.config.parsing.space import parse_space
from studies.errors import BadInput, Problems

ODD = [
    *("20240101", "2024_01", "1e5", "on", "1", "true", "null", "nan", "2024-01-01", "1:30", "010", "étude"),
    *('"val[/acc]"', "a=b", "a b", '"its"', "a/b", '"#x"', '"a: b"', "50%", "😀", "-x", "x" * 300),
]


def read(text: str) -> object:
    return OmegaConf.to_container(OmegaConf.create(with_quoted_names(text)))


@pytest.mark.parametrize("written", ODD)
def test_a_name_is_the_text_that_is_written(written: str) -> None:
    name = written.strip('"')
    text = f"""\
study_name: {written}
objective: {{metric: {written}, second: {{metric: {written}}}}}
search_space:
  {written}: {{path: {written}, choices: {{{written}: 1}}, when: {{{written}: [a]}}}}
enqueue: [{{{written}: 1}}]
vars: {{{written}: 2}}
analysis: {{params: [{written}]}}
hypothesis: {{of: {written}, parts: {{{written}: {{search_space: {{{written}: {{low: 1}}}}}}}}}}
"""
    assert read(text) == {
        "study_name": name,
        "objective": {"metric": name, "second": {"metric": name}},
        "search_space": {name: {"path": name, "choices": {name: 1}, "when": {name: ["a"]}}},
        "enqueue": [{name: 1}],
        "vars": {name: 2},
        "analysis": {"params": [name]},
        "hypothesis": {"of": name, "parts": {name: {"search_space": {name: {"low": 1}}}}},
    }


def test_all_else_is_read_as_before() -> None:
    text = (
        "n_trials: 1_000\nmodel: {1: on, lr: 1e5}\nimport_from: null\nsearch_space: {<<: {a: {low: 1}}, b: {low: 2}}\n"
    )
    parsed = read(text)
    assert isinstance(parsed, dict)
    assert (parsed["n_trials"], parsed["model"], parsed["import_from"]) == (1000, {1: True, "lr": 1e5}, None)
    assert parsed["search_space"] == {"a": {"low": 1}, "b": {"low": 2}}
    assert with_quoted_names("") == ""
    assert with_quoted_names("on: 1", root="model") == "on: 1"
    assert with_quoted_names("on: {low: 1}", root="search_space") == "'on': {low: 1}"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("[no, l1]", ["no, which YAML reads as false: write 'no' in quotes for the text, or false"]),
        ("[on, Off, yes]", ["on, which YAML reads as true", "Off, which YAML reads as false", "yes, which"]),
        ("[1_000, l1]", ["1_000, which YAML reads as 1000"]),
        ("[1:30, a]", ["1:30, which YAML reads as 90"]),
        ("[010, 8]", ["010, which YAML reads as 8"]),
        ("[false, true, null, l1, 2024-01-01, 'no', 0.5, 1e-3]", []),
        ("[1_000, 2_000]", []),
        ("{no: 1, l1: 2}", []),
    ],
)
def test_a_choice_that_may_be_meant_as_a_text_is_told(values: str, told: list[str]) -> None:
    found = doubtful_values(f"search_space:\n  norm:\n    choices: {values}\n")
    assert [problem.key for problem in found] == ["line 3:"] * len(told)
    for problem, part in zip(found, told, strict=True):
        assert f"search_space.norm.choices holds {part}" in f"{problem.complaint}: {problem.remedy}"
    assert doubtful_values(f"norm: {{when: {{a: {values}}}}}", root="search_space")[:1] or not told


def test_a_study_with_a_doubtful_choice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    text = "study_name: mine\nsearch_space:\n  norm: {path: model.l1, type: categorical, choices: [no, l1]}\n"
    (tmp_path / "study" / "mine.yaml").write_text(text)
    with pytest.raises(
        BadInput, match=r"mine\.yaml, line 3: search_space\.norm\.choices holds no, which YAML reads as"
    ):
        compose(["+study=mine"], config_dirs=[str(tmp_path)])


def test_a_file_that_hydra_would_never_read_is_refused_with_both_paths(tmp_path: Path) -> None:
    ours, theirs = config_dir(), tmp_path / "conf"
    for name in ("datamodule/mnist.yaml", "study/tables/dropout.yaml", "config.yaml", "model/own.yaml"):
        (theirs / name).parent.mkdir(parents=True, exist_ok=True)
        (theirs / name).write_text("# Mine.\n")
    (theirs / "model" / "mlp.yaml").write_bytes((ours / "model" / "mlp.yaml").read_bytes())
    found = {problem.key: str(problem) for problem in shadowed([str(theirs)])}
    assert set(found) == {"datamodule", "study/tables", "config.yaml"}
    both = f"datamodule is mnist, which is {theirs}/datamodule/mnist.yaml and {ours}/datamodule/mnist.yaml"
    assert found["datamodule"].startswith(both)
    assert shadowed([str(USERS / "conf"), str(ours)]) == []


def test_two_folders_of_ones_own_hide_nothing_of_each_other(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "model").mkdir(parents=True)
        (tmp_path / folder / "model" / "own.yaml").write_text(f"_target_: {folder}\n")
    (problem,) = shadowed([str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "a")])
    assert f"{tmp_path}/b/model/own.yaml and {tmp_path}/a/model/own.yaml" in str(problem)


def test_nested_options_of_ones_own_are_listed(tmp_path: Path) -> None:
    (tmp_path / "study" / "deep").mkdir(parents=True)
    (tmp_path / "study" / "deep" / "mine.yaml").write_text("study_name: mine\n")
    assert "deep/mine" in group_options("study", config_dirs=[str(tmp_path)])


VARS = ("+study=plain", "+vars={rate: 0.02}", "~search_space.lr", "model.lr=${vars.rate}")


def test_variables_of_ones_own_can_be_taken_and_searched() -> None:
    conf = [str(USERS / "conf")]
    space = "+search_space.rate={path: vars.rate, type: float, low: 0.01, high: 0.1}"
    settings = parse_settings(compose([*VARS, space], config_dirs=conf))
    applied = settings.space.apply(settings.template, {"rate": 0.07})
    assert (applied.vars.rate, applied.model.lr) == (0.07, 0.07)
    with pytest.raises(BadInput, match=r"search_space\.rate\.path is vars\.rate, which no key refers to"):
        parse_settings(compose([*VARS[:3], space], config_dirs=conf))


def test_a_name_that_is_no_text_is_told() -> None:
    problems = Problems()
    parse_space({1: {}, False: {}}, config=OmegaConf.create({"model": {"lr": 1.0}}), problems=problems)
    assert [str(problem) for problem in problems.found[:2]] == [
        "search_space.1 is named 1, which is no text: write its name in quotes: '1'",
        "search_space.False is named False, which is no text: write its name in quotes: 'False'",
    ]


@pytest.mark.parametrize("condition", ["[1, true]", "['1', 'true']"])
def test_conditions_levels_and_points_name_choices_by_their_texts(condition: str) -> None:
    text = f"""\
a: {{path: model.a, type: categorical, choices: {{1: x, true: y, c: z}}, levels: [1, c]}}
b: {{path: model.b, type: float, low: 0, high: 1, when: {{a: {condition}}}}}
"""
    problems = Problems()
    values = OmegaConf.to_container(OmegaConf.create(with_quoted_names(text, root="search_space")))
    space = parse_space(values, config=OmegaConf.create({"model": {"a": "", "b": 0.5}}), problems=problems)
    assert problems.found == []
    assert (space["a"].levels, space["b"].when) == (("1", "c"), {"a": ("1", "true")})


@pytest.mark.parametrize("name", ["..", ".", "../x", "a/../../x", "/", "a//b", "a/", "x" * 300])
def test_no_name_leads_out_of_the_output_folder(name: str) -> None:
    with pytest.raises(BadInput, match=r"study_name is .*(a name has at most 200|names no folder of its own)"):
        parse_settings(compose(["+study=digits", f'study_name="{name}"']))
