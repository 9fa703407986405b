"""Test-set evaluations: a count that grows, and who else evaluated."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from optuna.trial import create_trial

from studies import schema
from studies.selection.evaluations import count_evaluation, evaluations_in, in_words, of_file, of_study, retrainings

TESTED = create_trial(value=1.0, user_attrs={schema.TEST: {"test/accuracy": 0.9, "n": 10}})
UNTESTED = create_trial(value=1.0)


def retrain(folder: Path, name: str, *, n_test_samples: int = 10) -> None:
    """What a retraining leaves."""
    (folder / name).mkdir(exist_ok=True)
    before = evaluations_in(folder / name)
    (folder / name / "result.yaml").write_text(yaml.safe_dump({"val": 0.5, "n_test_samples": n_test_samples}))
    if n_test_samples:
        count_evaluation(folder / name, before=before)


def test_each_retraining_counts_also_of_the_same_configuration(tmp_path: Path) -> None:
    found = [retrainings(tmp_path)]
    for name in ("trial-3", "trial-3", "trial-7", "trial-3"):
        retrain(tmp_path, name)
        found.append(retrainings(tmp_path))
    assert found == [0, 1, 2, 3, 4]
    assert yaml.safe_load((tmp_path / "trial-3" / "result.yaml").read_text()) == {
        "val": 0.5,
        "n_test_samples": 10,
        "test_set_evaluations": 3,
    }


def test_a_module_that_cannot_be_tested_evaluates_nothing(tmp_path: Path) -> None:
    retrain(tmp_path, "trial-0", n_test_samples=0)
    assert retrainings(tmp_path) == 0


def test_a_result_without_a_count_is_one_evaluation(tmp_path: Path) -> None:
    (tmp_path / "trial-0").mkdir()
    (tmp_path / "trial-0" / "result.yaml").write_text("n_test_samples: 10\n")
    assert retrainings(tmp_path) == 1
    retrain(tmp_path, "trial-0")
    assert retrainings(tmp_path) == 2


@pytest.mark.parametrize(
    ("content", "n"),
    [
        *(
            ("n_test_samples: abc", 1),
            ("test_set_evaluations: x", 1),
            ("test_set_evaluations: -3", 1),
            ("at: 2020-13-45", 1),
            ("\xff", 1),
            ("[" * 5000, 1),
        ),
        *(
            ("", 0),
            ("val: 0.5", 0),
            ("n_test_samples: 0", 0),
            ("test_set_evaluations: 4", 4),
            ("test/Güte: 0.5\ntest_set_evaluations: 2", 2),
        ),
    ],
)
def test_a_result_that_was_edited_counts_what_it_says_or_one(tmp_path: Path, content: str, n: int) -> None:
    (tmp_path / "trial-0").mkdir()
    encoding = "latin-1" if content == "\xff" else "utf-8"
    (tmp_path / "trial-0" / "result.yaml").write_text(content, encoding=encoding)
    assert evaluations_in(tmp_path / "trial-0") == retrainings(tmp_path) == n


@pytest.mark.parametrize(
    ("n", "study", "expected"),
    [
        (0, [], None),
        (
            1,
            [],
            "the test part was evaluated before: once by studies.retrain. Choosing by it makes its results optimistic",
        ),
        (
            5,
            ["a", "b"],
            "the test part was evaluated before: 5 times by studies.retrain, a and b. Choosing by it makes",
        ),
        (0, ["a"], "the test part was evaluated before: a. Choosing by it makes its results optimistic"),
    ],
)
def test_evaluations_in_words(n: int, study: list[str], expected: str | None) -> None:
    found = in_words(n, study)
    assert found is None if expected is None else found is not None and found.startswith(expected)


def test_what_the_study_tested_itself_is_counted() -> None:
    selection: Any = SimpleNamespace(races=[SimpleNamespace(fresh=[TESTED, TESTED, UNTESTED])])
    told = "by 1 trial of the study (objective.test)"
    assert list(of_study([TESTED, UNTESTED], None)) == [told]
    assert list(of_study([TESTED, UNTESTED], selection)) == [told, "by 2 trainings of its selection"]
    assert list(of_study([UNTESTED], None)) == []


def test_what_a_best_yaml_tells_of_evaluations() -> None:
    assert list(of_file({"objective": {"metric": "val"}})) == []
    selected = {"objective": {"metric": "val", "test": True}, "selection": {"test": {"test/accuracy": {"n_seeds": 3}}}}
    assert list(of_file(selected)) == [
        "by the trials of the study (objective.test)",
        "by 3 trainings of its selection",
    ]
    assert list(of_file({"objective": {}, "selection": {"test": {}}})) == []
