"""Studies that were stored under version 1 of the schema: they are reported as then, and not gone on with."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from kept_studies import FOREIGN, KEPT, STUDIES, USERS, kept_texts, overrides_of, write_report
from shell import Shell

from studies.check import check
from studies.config.composing.configs import compose
from studies.errors import BadInput
from studies.list import list_studies
from studies.report import report

NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]?\d+)?|-?\d+e[+-]?\d+")
WHOLE_TOO = re.compile(rf"{NUMBER.pattern}|\d+")
SHUFFLED = re.compile(r'"null":|^(?:\| )?(?:ped-anova|fanova)\b')  # of which a tie in the last digit makes another one
OF_SHUFFLES = 0.1
RECORDED = re.compile(r"trials|best|select|anova|table|values")  # files of what is stored, or exact from it
# Lines in which a fit finds whole numbers, too
OF_LEVELS = re.compile(r'^\s*\d+,?$|"best":|^(?:\| )?(?:x|width)\b(?! [×*])')
OF_FITS = 0.3  # of limits that come from some hundred draws, which the machine's linear algebra decides
OF_SMALL_FITS = 0.06  # the same of small ones, not relative
TOLERANCE = 1e-6


def differences(name: str, before: str, now: str) -> list[str]:
    """The lines of a text that differ in more than the last digits of a number, or a shuffled measure by much."""
    lines = zip(before.splitlines(), now.splitlines(), strict=False)
    found = [f"{name}: {old!r} is now {new!r}" for old, new in lines if not is_alike(name, old, new)]
    n_before, n_now = len(before.splitlines()), len(now.splitlines())
    return [*found, *([f"{name}: {n_before} lines are now {n_now}"] if n_before != n_now else [])]


def is_alike(name: str, old: str, new: str) -> bool:
    tolerance = TOLERANCE if RECORDED.search(name) else OF_SHUFFLES if SHUFFLED.search(old) else OF_FITS
    number = WHOLE_TOO if tolerance == OF_FITS and OF_LEVELS.search(old) else NUMBER
    pairs = zip(number.findall(old), number.findall(new), strict=False)
    close = all(_is_close(a, b, tolerance) for a, b in pairs)
    return number.sub("#", old) == number.sub("#", new) and close


def _is_close(a: str, b: str, tolerance: float) -> bool:
    is_whole = a.isdecimal() and b.isdecimal()
    least = 1.0 if is_whole else OF_SMALL_FITS if tolerance == OF_FITS else min(tolerance, 0.01)
    return math.isclose(float(a), float(b), rel_tol=tolerance, abs_tol=least)


@pytest.mark.usefixtures("user_modules")
@pytest.mark.parametrize(
    "name", ["grid", "race", *(pytest.param(name, marks=pytest.mark.slow) for name in ("search", FOREIGN))]
)
def test_a_stored_study_is_reported_as_when_it_was_kept(tmp_path: Path, name: str) -> None:
    kept, now = kept_texts(name), write_report(name, tmp_path)
    assert set(now) == set(kept)
    assert [line for path in kept for line in differences(path, kept[path], now[path])] == []


def test_texts_that_differ_are_told_and_last_digits_are_not() -> None:
    assert differences("trials.csv", "x 0.123456789\n", "x 0.123456788\n") == []
    assert differences("trials.csv", "x 0.1234\n", "x 0.1235\n") == ["trials.csv: 'x 0.1234' is now 'x 0.1235'"]
    assert differences("effects.csv", "lr 0.12\n", "lr 0.17\n") == []
    assert differences("effects.csv", "lr 0.12\n", "lr 0.22\n") == ["effects.csv: 'lr 0.12' is now 'lr 0.22'"]
    assert differences("effects.csv", "lr 0.52\n", "lr 0.62\n") == []
    assert differences("effects.csv", "width,25\n", "width,23\n") == []
    assert differences("effects.csv", "width,1 %\n", "width,2 %\n") == []
    assert differences("effects.csv", "width,0.5\n", "width,0.9\n") == ["effects.csv: 'width,0.5' is now 'width,0.9'"]
    assert differences("effects.csv", "width,25\n", "width,15\n") == ["effects.csv: 'width,25' is now 'width,15'"]
    assert differences("effects.csv", "n 25\n", "n 23\n") == ["effects.csv: 'n 25' is now 'n 23'"]
    assert differences("a", "one 1.0\n", "two 1.0\n") == ["a: 'one 1.0' is now 'two 1.0'"]
    assert differences("a", "x\n", "x\ny\n") == ["a: 1 lines are now 2"]


def test_what_is_kept_is_of_version_1_and_tells_of_no_machine() -> None:
    for name in set(STUDIES) - {FOREIGN}:
        assert (KEPT / f"{name}.db").stat().st_size < 300_000
        with contextlib.closing(sqlite3.connect(f"file:{KEPT / name}.db?mode=ro&immutable=1", uri=True)) as connection:
            versions = connection.execute("SELECT value_json FROM study_user_attributes WHERE key = 'schema'")
            assert {json.loads(value) for (value,) in versions} == {1}
            workers = connection.execute("SELECT DISTINCT value_json FROM trial_user_attributes WHERE key = 'worker'")
            assert all(json.loads(worker).startswith("machine:") for (worker,) in workers)


@pytest.mark.slow
def test_a_kept_study_does_not_go_on(shell: Shell) -> None:
    shutil.copy(KEPT / "search.db", shell.folder)
    (arguments := overrides_of("search")).remove("n_trials=24")
    printed = shell.run("run", "--config-dir", str(USERS / "conf"), *arguments, "n_trials=26", code=2)
    (told,) = (line for line in printed.splitlines() if "schema" in line)
    assert "stored under schema 1, and this version of lightning-studies goes on under schema 2 only" in told
    with contextlib.closing(sqlite3.connect(shell.folder / "search.db")) as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (24,)


def of_schema(version: int, folder: Path) -> list[str]:
    """The overrides of a kept study whose copy in `folder` says that it is of schema `version`."""
    shutil.copy(KEPT / "search.db", folder)
    with contextlib.closing(sqlite3.connect(folder / "search.db")) as connection, connection:
        connection.execute("UPDATE study_user_attributes SET value_json = ? WHERE key = 'schema'", (str(version),))
    return overrides_of("search")


@pytest.mark.usefixtures("user_modules")
def test_a_study_of_an_earlier_schema_is_reported_and_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = compose([*of_schema(1, tmp_path), "analysis=none"], config_dirs=[str(USERS / "conf")])
    assert report(config) == list_studies(config) == 0
    with pytest.raises(BadInput, match=r"stored under schema 1, and .* goes on under schema 2 only") as raised:
        check(config)
    assert len(raised.value.problems) == 1


@pytest.mark.usefixtures("user_modules")
def test_a_study_of_a_later_schema_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "400")
    config = compose(of_schema(3, tmp_path), config_dirs=[str(USERS / "conf")])
    told = "stored under schema 3, and this version of lightning-studies reads schema 2 at most"
    for command in (report, check):
        with pytest.raises(BadInput, match=f"{told}: install a later version") as raised:
            command(config)
        assert len(raised.value.problems) == 1
    assert list_studies(config) == 0
    assert told in capsys.readouterr().out
