from __future__ import annotations

import pickle

import pytest

from studies.errors import BadInput, Problem, Problems, StudyChanged, StudyError, StudyStopped, nearest

LOW = Problem("search_space.lr.low", "is 0 but log is true", "give a positive lower bound")
WORKERS = Problem("workers", "is 0", "give a whole number of at least 1")


def test_a_problem_reads_key_value_remedy() -> None:
    assert str(LOW) == "search_space.lr.low is 0 but log is true: give a positive lower bound"


def test_one_message_lists_every_problem() -> None:
    assert str(BadInput([LOW, WORKERS])) == f"2 problems in the config:\n  - {LOW}\n  - {WORKERS}"
    assert str(BadInput([LOW])) == f"1 problem in the config:\n  - {LOW}"


def test_a_problem_found_twice_is_listed_once() -> None:
    problems = Problems()
    for problem in (LOW, WORKERS, LOW):
        problems.add(problem.key, problem.complaint, problem.remedy)
    with pytest.raises(BadInput) as caught:
        problems.raise_if_any()
    assert caught.value.problems == (LOW, WORKERS)


def test_two_complaints_about_one_key_are_both_listed() -> None:
    problems = Problems()
    problems.add("lr.low", "is 2 but high is 1", "give a low below high")
    problems.add("lr.low", "is 2.5", "give a whole number for type int")
    assert len(problems.found) == 2


def test_nothing_is_raised_when_all_is_well() -> None:
    Problems().raise_if_any()


@pytest.mark.parametrize(
    ("word", "known", "remedy"),
    [
        ("lrr", ["lr", "momentum"], "did you mean lr? (valid: lr, momentum)"),
        ("xyz", ["lr", "momentum"], "use one of lr, momentum"),
        ("lr", [], "there is none to choose from"),
        ("12", [11, 3], "use one of 11, 3"),
    ],
)
def test_the_remedy_names_the_nearest_word_and_then_all(word: str, known: list[object], remedy: str) -> None:
    assert nearest(word, known) == remedy  # type: ignore[arg-type]


def test_a_long_list_of_valid_words_is_cut() -> None:
    remedy = nearest("zzz", [f"name{i:02}" for i in range(40)])
    assert remedy.endswith("name29, …")
    assert "name30" not in remedy


def test_the_nearest_to_an_unknown_key_is_sought_by_its_last_part() -> None:
    problems = Problems()
    problems.unknown("sampler.n_startup", "is not an option of tpe", ["n_startup_trials", "gamma"])
    assert problems.found[0].remedy.startswith("did you mean n_startup_trials?")


@pytest.mark.parametrize("kind", [BadInput, StudyChanged])
def test_bad_input_survives_the_way_out_of_a_worker(kind: type[BadInput]) -> None:
    copy = pickle.loads(pickle.dumps(kind([LOW, WORKERS])))
    assert type(copy) is kind
    assert copy.problems == (LOW, WORKERS)
    assert str(copy) == str(kind([LOW, WORKERS]))


def test_exit_codes_tell_a_wrong_config_from_a_study_that_stopped() -> None:
    assert (BadInput.exit_code, StudyChanged.exit_code) == (2, 2)
    assert (StudyError.exit_code, StudyStopped.exit_code) == (1, 1)
