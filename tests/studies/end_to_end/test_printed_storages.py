"""No name or text from a storage commands the terminal, or ends a command that would write it."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from studies.cli.commands.list import print_studies
from studies.cli.console import make_console
from studies.cli.reports import report_stored
from studies.config.settings import AnalysisSettings
from studies.text.printable import printable, write_page

CLEARS = "a\x1b[2J\nb\x9b\u202e\ud800"
ESCAPED = r"a\x1b[2J\nb\x9b\u202e\ud800"


@pytest.mark.parametrize("text", ["étude 研究 😀", "[red]", "👨\u200d👩\u200d👧", "a\tb\nc", ""])
def test_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_what_commands_a_terminal_is_escaped_as_python_writes_it(tmp_path: Path) -> None:
    assert printable(CLEARS) == ESCAPED.replace(r"\n", "\n")
    assert printable(CLEARS, one_line=True) == ESCAPED
    write_page(tmp_path / "page.md", CLEARS)
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == ESCAPED.replace(r"\n", "\n")


def test_the_console_of_the_commands_escapes_what_it_prints() -> None:
    out = io.StringIO()
    make_console(file=out).print(CLEARS, markup=False)
    assert out.getvalue() == ESCAPED.replace(r"\n", "\n") + "\n"


@pytest.mark.parametrize("width", [40, 400])
def test_a_study_s_name_is_listed_on_one_line(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name=CLEARS, storage=storage)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        print_studies(storage)
    assert any(ESCAPED in line for line in printed.getvalue().splitlines())
    assert not {"\x1b", "\x9b", "\u202e", "\ud800"} & set(printed.getvalue())


def test_a_report_of_such_names_is_written_and_printed(tmp_path: Path) -> None:
    study = optuna.create_study(study_name=CLEARS)
    space = {CLEARS: FloatDistribution(0.0, 1.0)}
    study.add_trials(create_trial(value=i, params={CLEARS: i / 9}, distributions=space) for i in range(8))
    out = io.StringIO()
    wanted = AnalysisSettings("full", None, "auto", None)
    report_stored(study, tmp_path, wanted, seed=0, console=make_console(file=out, width=400))
    pages = [(tmp_path / "report.md").read_text(encoding="utf-8"), out.getvalue()]
    assert all(not {"\x1b", "\x9b", "\u202e", "\ud800"} & set(page) for page in pages)


@pytest.mark.slow
def test_a_megabyte_of_text_is_listed_and_reported(tmp_path: Path) -> None:
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(study_name="n" * 1_000_000, storage=storage)
    study.set_user_attr("fingerprint", "0" * 16)
    study.set_user_attr("schema", 1)
    study.set_user_attr("metric", {"name": "m" * 1_000_000})
    study.add_trial(create_trial(value=1.0, user_attrs={"failure_message": "f" * 1_000_000}))
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        print_studies(storage)
        report_stored(study, tmp_path, AnalysisSettings("none", None, "auto", None), seed=0, console=make_console())
    assert "n" * 1_000_000 in printed.getvalue()
