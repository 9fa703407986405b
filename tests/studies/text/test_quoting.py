"""What is printed to be pasted means the same after the shell and Hydra have read it."""

from __future__ import annotations

import shlex

import pytest

from studies.text.quoting import argument, command_line, hydra_quoted, is_key, is_read, pasted, read_value

ODD = [
    *("20240101", "2024_01", "1e5", "on", "true", "null", "nan", "2024-01-01", "1", "", " ", ".", "-dash"),
    *("val[/acc]", "ablation[v2]", "étude", "a=b", "my study (v2)", "it's", 'a "b" c', "a,b", "a/b", "#x", "a:b"),
    *(
        "50%",
        "😀",
        "~x",
        "choice(a,b)",
        "{a}",
        "back\\slash",
        "end\\",
        'end\\"',
        "a\\'b",
        "x" * 300,
        "two\nlines",
        "$HOME",
    ),
]


@pytest.mark.parametrize("text", ODD)
def test_a_quoted_text_is_read_as_this_text(text: str) -> None:
    assert read_value(hydra_quoted(text)) == text
    python, _, module, *arguments = shlex.split(command_line("run", argument("study_name", text), "n_trials=3"))
    assert (python, module, arguments[1]) == ("python", "studies.run", "n_trials=3")
    key, _, value = arguments[0].partition("=")
    assert (key, read_value(value)) == ("study_name", text)
    assert shlex.split(pasted("study_name", text)) == [arguments[0]]


def test_what_needs_no_quotes_gets_none() -> None:
    assert command_line("retrain", argument("config", "outputs/mnist/best.yaml")) == (
        "python -m studies.retrain config=outputs/mnist/best.yaml"
    )


def test_what_hydra_cannot_read_is_known() -> None:
    assert is_read("null")
    assert not is_read("étude")
    assert not is_read("1,2")
    assert is_key("search_space.lr.low")
    assert not is_key("search_space.étude.low")
