"""Names of an earlier version end in one error that tells the present one."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.cli.arguments import for_hydra, read_arguments
from studies.cli.uncomposed import all_problems
from studies.config.composing.configs import compose
from studies.config.parsing.renamed import key_now, option_now, present_names
from studies.config.parsing.settings import parse_settings
from studies.errors import BadInput, Problems
from studies.trial.building.instantiate import binding_problems


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["+study=beliefs/more_layers_are_better"], "it is called hypotheses/more_layers_are_better now"),
        (["+study=search_race"], "it is called sampler_benchmark now"),
        (["+study=digits", "model=search"], "it is called sampler_benchmark now"),
        (["+study=digits", "search_space=search_race"], "it is called sampler_benchmark now"),
        (["+study=digits", "belief=null"], "it is called hypothesis now"),
        (["+study=digits", "belief.boundary=3"], "it is called hypothesis.boundary now"),
    ],
)
def test_an_old_name_on_the_command_line(overrides: list[str], expected: str) -> None:
    (problem,) = all_problems(overrides, ValueError("unknown"))
    assert problem.remedy == expected


def test_an_old_study_without_a_key() -> None:
    with pytest.raises(BadInput, match=r"study is search_race_full, .*: it is called sampler_benchmark_full now"):
        for_hydra(read_arguments(["search_race_full"]))


def test_an_old_name_in_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    begin = "# @package _global_\nstudy_name: mine\n"
    texts = {"key": f"{begin}belief: {{claim: a}}\n", "option": f"{begin}defaults: [override /model: search]\n"}
    for name, text in texts.items():
        (tmp_path / "study" / f"{name}.yaml").write_text(text)
    folders = [str(tmp_path)]
    with pytest.raises(BadInput, match="belief is not a known key: it is called hypothesis now"):
        parse_settings(compose(["+study=key"], config_dirs=folders))
    (problem,) = all_problems(["--config-dir", str(tmp_path), "+study=option"], ValueError("unknown"))
    assert problem.remedy == "correct its file: model/search is called model/sampler_benchmark now"


def test_an_old_name_in_an_interpolation_and_a_target() -> None:
    old = "model.init_from='${belief.checkpoints.source}'"
    with pytest.raises(BadInput, match=r"belief\.checkpoints\.source is called hypothesis\.checkpoints"):
        parse_settings(compose(["+study=digits", old]))
    problems = Problems()
    binding_problems({"model": {"_target_": "studies.race.Search"}}, problems)
    assert problems.found[0].remedy == "it is called studies.sampler_benchmark.Search now"


def test_names_that_were_never_renamed() -> None:
    assert key_now("model.belief") is key_now("beliefs") is key_now("search_space") is None
    assert option_now("sampler", "random") is option_now("study", "digits") is None
    assert present_names("In 'study/mine': Could not find 'model/mlp'") == ""
