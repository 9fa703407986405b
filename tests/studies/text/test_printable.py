from __future__ import annotations

import csv
import io
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis.strategies import text
from optuna.trial import FixedTrial, TrialState
from selections import MakeSettings

from studies import schema
from studies.cli.console import make_console
from studies.config.parsing.limits import shown as shown_value
from studies.config.parsing.output_folder import short
from studies.errors import Problem
from studies.records.shapes import damage_of_study
from studies.reporting.csv_table import csv_text
from studies.reporting.wording import plain as shown_plainly
from studies.secrets.texts import know
from studies.text.naming import shown_name
from studies.text.printable import brief, described, printable, shortened
from studies.trial.objective import run_trial
from studies.trial.training import never

EVIL = "\x1b[31mred\x1b[0m \u202egnol\u2066 \x00 \ud800 a\rb \x9b1m"
HARMLESS = r"\x1b[31mred\x1b[0m \u202egnol\u2066 \x00 \ud800 a\rb \x9b1m"


def test_control_characters_show_as_their_escapes() -> None:
    assert printable(EVIL) == HARMLESS


@pytest.mark.parametrize("kept", ["plain", "two\nlines\tand a tab", "größer ≥ 日本 ∣ 👩‍🔬 نص"])
def test_other_text_stays_as_it_is(kept: str) -> None:
    assert printable(kept) == kept


@given(text(alphabet=[*map(chr, range(0x250)), *map(chr, range(0x2000, 0x2070)), "\ud800", "\udfff", "\ufeff"]))
def test_what_is_printable_can_be_encoded_and_is_left_alone_the_next_time(given_text: str) -> None:
    found = printable(given_text)
    found.encode()
    assert printable(found) == found
    assert not {*found} & {"\x00", "\x1b", "\r", "\u202e", "\x9b"}


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    found = shortened("begin" + "x" * 10**6 + "end", 100)
    assert found.startswith("begin")
    assert found.endswith("end")
    assert "999,908 characters are left out" in found
    assert len(found) < 200


LONG_SECRET = "so-long-a-secret-that-a-cut-falls-into-it"


@pytest.mark.parametrize(
    "show",
    [
        brief,
        lambda text: shortened(text, 500),
        shown_value,
        shown_name,
        short,
        lambda text: str(Problem("vars", text * 5, "give another")),
        lambda text: str([*damage_of_study({schema.STUDY_N_TRIALS: text})]),
    ],
)
def test_a_secret_is_masked_before_a_text_is_cut(show: Callable[[str], str]) -> None:
    know([LONG_SECRET])
    for before in range(600):
        shown = show("x" * before + LONG_SECRET + "y" * (600 - before))
        assert not any(LONG_SECRET[i : i + 3] in shown for i in range(len(LONG_SECRET) - 2))


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_exception_is_described_whatever_its_text_is() -> None:
    assert described(ValueError(EVIL)) == f"ValueError: {HARMLESS}"
    assert described(Unspeakable()) == "Unspeakable: its text cannot be made: RuntimeError"
    assert len(described(ValueError("\x00" * 10**7))) == 500


def test_a_failed_trial_and_its_log_hold_no_control_characters(
    make_settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings("model._target_=user_state.Leaves", "+model.how=evil_text", study="plain")
    with caplog.at_level(logging.WARNING):
        outcome = run_trial(FixedTrial({"lr": 0.1}), settings, seed=0, interrupted=never)
    assert outcome.state == TrialState.FAIL
    assert outcome.attributes[schema.FAILURE_MESSAGE] == f"ValueError: {HARMLESS}"
    assert HARMLESS in caplog.text
    assert "\x1b" not in caplog.text
    assert "\x00" not in caplog.text


def test_the_terminal_and_the_tables_show_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_console(width=200).print(EVIL)
    assert capsys.readouterr().out == f"{HARMLESS}\n"
    with io.StringIO(csv_text(["message"], [{"message": EVIL}])) as file:
        assert next(csv.DictReader(file))["message"] == HARMLESS
    assert "\x1b" not in shown_plainly(EVIL)
