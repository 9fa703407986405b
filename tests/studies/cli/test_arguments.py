"""The layer of arguments before Hydra's: studies by words and paths, flags, texts, and how a command ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from omegaconf import DictConfig
from shell import USERS

from studies.cli.arguments import as_text, for_hydra, read_arguments
from studies.cli.command import command, make_importable
from studies.cli.uncomposed import all_problems
from studies.config.composing.configs import compose
from studies.config.composing.own_options import place_of
from studies.errors import BadInput
from studies.text.quoting import read_value

CONF = str(USERS / "conf")
STUDY = """\
defaults:
  - override /datamodule: none
  - override /search_space: empty
n_trials: 7
"""


def composed(*given: str) -> DictConfig:
    """The config of a command with these arguments."""
    arguments = read_arguments(for_hydra(read_arguments(given)))
    return compose(arguments.overrides, config_dirs=[*map(place_of, arguments.more_sources)])


def told(*given: str) -> str:
    with pytest.raises(BadInput) as caught:
        for_hydra(read_arguments(given))
    return "\n".join(map(str, caught.value.problems))


def call(task: Callable[[DictConfig], int], monkeypatch: pytest.MonkeyPatch, *given: str) -> int:
    """The exit code of a command of this task."""
    monkeypatch.setattr(sys, "argv", ["command", *given])
    with pytest.raises(SystemExit) as caught:
        command(task)()
    return int(caught.value.code or 0)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a user with a study file, in which commands are given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(f"{STUDY}study_name: mine\n")
    return tmp_path


def test_a_bare_word_is_a_study() -> None:
    assert composed("mnist").study_name == "mnist"
    assert composed("n_trials=3", "tables/dropout").study_name == "dropout_tuned"
    assert composed("--config-dir", CONF, "plain").study_name == "plain"
    assert composed(f"--config-dir={CONF}", "+study=plain").study_name == "plain"
    assert composed("plain", f"hydra.searchpath=[file://{CONF}]").study_name == "plain"


@pytest.mark.parametrize("header", ["", "# @package _global_\n", "# Mine.\n# @package _global_\n", "\ufeff"])
def test_a_study_is_given_by_the_path_of_its_file(project: Path, header: str) -> None:
    (project / "mine.yaml").write_text(f"{header}{STUDY}study_name: mine\n", encoding="utf-8")
    config = composed("mine.yaml", "seed=3")
    assert (config.study_name, config.n_trials, config.seed, config.datamodule) == ("mine", 7, 3, {})


def test_a_file_may_have_any_name_and_lie_anywhere(project: Path) -> None:
    for name in ("mnist.yaml", "my study (v2).yaml", "étude=1.yml", "deep/er/study.yaml"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(f"{STUDY}study_name: {name}\n")
        assert composed(name if "/" in name else str(project / name)).study_name == name


def test_a_file_without_a_study_name_lends_it_its_own(project: Path) -> None:
    (project / "mine.yaml").write_text(STUDY)
    assert composed("mine.yaml").study_name == "mine"
    assert composed("mine.yaml", "study_name=other").study_name == "other"


def test_options_in_conf_beside_a_study_file_are_found(project: Path) -> None:
    (project / "conf" / "model").mkdir(parents=True)
    (project / "conf" / "model" / "own.yaml").write_text("_target_: own.Model\nwidth: 3\n")
    (project / "base.yaml").write_text("seed: 5\n")
    own = STUDY.replace("defaults:\n", "defaults:\n  - base\n  - override /model: own\n")
    for path in (project / "mine.yaml", project / "conf" / "study" / "deep" / "mine.yaml"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{own}study_name: mine\n")
        (path.parent / "base.yaml").write_text("seed: 5\n")
        config = composed(str(path))
        assert (config.model, config.seed) == ({"_target_": "own.Model", "width": 3}, 5)


def test_a_wrong_word_gets_the_nearest_study_and_where_ones_own_lie(project: Path) -> None:
    assert "study is mnsit, which is neither a study nor a file: did you mean mnist?" in told("mnsit")
    assert "a study of your own is given by its path, as in my_study.yaml" in told("mnsit")
    assert "did you mean mine.yaml?" in told("mine")
    assert "study is other.yaml, which is no file" in told("other.yaml")
    assert "did you mean mnist?" in told("mnist.yaml")
    (project / "notes.txt").touch()
    assert "study is notes.txt, which is no YAML file" in told("notes.txt")
    (project / "conf" / "study").mkdir(parents=True)
    assert "study is conf, which is a folder" in told("conf")
    (project / "conf" / "study" / "hidden.yaml").write_text(STUDY)
    assert "did you mean --config-dir conf hidden?" in told("hidden")
    assert "digits stands beside the study mnist: name one study" in told("mnist", "digits")
    assert "+study=digits stands beside the study mnist" in told("mnist", "+study=digits")
    assert "a key is set by key=value, without spaces" in told("mnist", "n_trials", "=", "3")


def test_a_file_that_is_no_config_is_told_with_its_line(project: Path) -> None:
    (project / "mine.yaml").write_text("study_name: mine\nseed: [1\nn_trials: 3\n")
    with pytest.raises(BadInput, match=r"mine\.yaml is no YAML \(line 3: .*\): correct it"):
        composed("mine.yaml")
    (project / "mine.yaml").write_text("- a list\n")
    with pytest.raises(BadInput, match=r"mine\.yaml is a list: give a mapping"):
        composed("mine.yaml")
    (project / "mine.yaml").write_bytes(b"study_name: \xff\n")
    with pytest.raises(BadInput, match=r"mine\.yaml cannot be read \(UnicodeDecodeError\)"):
        composed("mine.yaml")


def test_a_file_that_does_not_compose_is_told_as_a_file(project: Path) -> None:
    (project / "mine.yaml").write_text(f"{STUDY}  - override /model: nope\n".replace("n_trials: 7\n", ""))
    (found,) = all_problems(for_hydra(read_arguments(["mine.yaml"])), ValueError("unknown"))
    assert str(found) == (
        "study is the file mine.yaml, which does not compose (In 'config': Could not find 'model/nope'): "
        "correct the file"
    )


def test_unknown_flags_are_refused_in_one_message() -> None:
    found = told("mnist", "--hlep", "--cfgg=job", "-x", "--config=conf")
    assert "--hlep is no flag of this command: did you mean --help?" in found
    assert "--cfgg is no flag of this command: did you mean --cfg?" in found
    assert "-x is no flag" in found
    assert "--config is no flag of this command: use one of --config-path, --config-name, --config-dir" in found
    assert "a key is set without dashes, as in n_trials=3 (of the flags, use one of" in told("mnist", "--n_trials", "3")
    assert "--config-dir lacks its value: give it, as in --config-dir VALUE" in told("--config-dir")
    assert "--config-dir is nowhere, which is no folder" in told("--config-dir", "nowhere", "mnist")


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (["-m", "n_trials=1,2"], ["--multirun", "n_trials=1,2"]),
        (["--multi", "-c", "job"], ["--multirun", "--cfg=job"]),
        (["--cfg=job", "--resolve", "-p", "model"], ["--cfg=job", "--resolve", "--package=model"]),
        (["-i"], ["--info"]),
        (["--info", "defaults", "~hypothesis", "++x=1"], ["--info=defaults", "~hypothesis", "++x=1"]),
        (["--help-all"], ["--help"]),
    ],
)
def test_all_else_is_hydras(given: Sequence[str], passed: Sequence[str]) -> None:
    assert for_hydra(read_arguments(given)) == list(passed)


NAMES = [
    *("20240101", "2024_01", "1e5", "on", "1", "true", "nan", "2024-01-01", "val[/acc]", "ablation[v2]", "étude"),
    *(
        "a=b",
        "my study (v2)",
        'a "b" c',
        "it's",
        "a/b",
        "#x",
        "a:b",
        "50%",
        "😀",
        "-dash",
        "x" * 300,
        "{a}",
        "1:30",
        "010",
    ),
]


@pytest.mark.parametrize("name", [*NAMES, "null"])
def test_a_name_on_the_command_line_is_a_text(name: str) -> None:
    for key in ("study_name", "objective.metric"):
        override = as_text(f"{key}={name}")
        assert read_value(override.partition("=")[2]) == name
        assert as_text(override) == override
    assert compose([as_text(f"study_name={name}")]).study_name == name


def test_what_is_meant_for_hydra_stays_as_it_is() -> None:
    for override in (
        *(
            "import_from=null",
            "storage.url=null",
            "study_name=${mode}_x",
            "study_name=",
            "n_trials=1_0",
            "study_name=a,b",
        ),
        *("study_name=choice(a,b)", "study_name='1'", "model.tags=[1,2]", "~study_name"),
    ):
        assert as_text(override) == override
    assert as_text("study_name=1,2_0,a", is_sweep=True) == 'study_name="1","2_0","a"'


def problems(*given: str) -> list[str]:
    return [str(problem) for problem in all_problems(given, ValueError("unknown"))]


def test_a_value_that_hydra_cannot_read_is_told_with_what_to_paste() -> None:
    given = ("+trainer.tag=étude (v2)", "+trainer.tags=[a=b]", "search_space.étude.low=1")
    found, listed, unnamed = problems("+study=digits", *given)[:3]
    assert found.startswith("trainer.tag is étude (v2), which does not work (")
    assert found.endswith("""quote the value: '+trainer.tag="étude (v2)"'""")
    assert listed.endswith("""quote each text in it, as in '+trainer.tags=["a text"]'""")
    assert "search_space.étude.low is a key that the command line cannot name: set it in the study's file" in unnamed


def test_a_sweep_is_not_blamed_for_another_mistake() -> None:
    (found,) = problems("-m", "+study=digits", "n_trials=1,2", "n_trails=3")
    assert found.startswith("n_trails is not a key of the config: did you mean n_trials?")


def test_a_multirun_ends_with_the_worst_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(lambda config: {1: 2, 2: 0}[config.n_trials], monkeypatch, "digits", "-m", "n_trials=1,2") == 2


def test_an_interrupted_job_ends_the_whole_multirun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    begun: list[int] = []

    def interrupted(config: DictConfig) -> int:
        begun.append(config.n_trials)
        raise KeyboardInterrupt

    assert call(interrupted, monkeypatch, "digits", "-m", "n_trials=1,2") == 130
    assert begun == [1]


def test_a_sweep_over_names_gives_each_as_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[str] = []
    assert call(lambda config: seen.append(config.study_name) or 0, monkeypatch, "-m", "study_name=2024_01,1e5") == 0
    assert seen == ["2024_01", "1e5"]


def test_modules_of_the_current_folder_are_importable_in_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["/somewhere"])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["inherited", str(tmp_path)]))
    monkeypatch.chdir(tmp_path)
    make_importable(Path.cwd())
    assert sys.path == [str(tmp_path), "/somewhere"]
    assert os.environ["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), str(tmp_path / "inherited")]
