from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import trust
import trust_estimators
from trust import Job
from trust_estimators import ESTIMATORS
from trust_page import page
from trust_searches import study_of
from trust_surfaces import truths_of

from studies.analysis.table import trials_table
from studies.analysis.verdict import Verdict

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "trust.py"


@pytest.mark.slow
def test_a_finished_estimate_is_kept_and_the_page_is_the_same(tmp_path: Path) -> None:
    jobs = [
        Job("recorded", "pruned", 30, 0, ("ours", "forest"), tmp_path),
        Job("recorded", "pruned", 30, 1, ("ours",), tmp_path),
    ]
    first = [scored for job in jobs for scored in trust.run(job)]
    kept = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")}
    assert len(kept) == 2 + 2 + 1  # searches, ours, the forest's
    assert [scored for job in jobs for scored in trust.run(job)] == first
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.json")} == kept
    (of_the_forest,) = tmp_path.rglob("*-forest-*.json")
    of_the_forest.write_text('{"estimates": [], "seconds": 1.0}')  # as an earlier program kept it
    assert [scored.rows for job in jobs for scored in trust.run(job)] == [scored.rows for scored in first]
    written = page(first, command="this")
    assert "## Intervals (2 studies)" in written
    assert "| recorded | pruned | 30 |" in written
    assert "; 1)" in written  # the forest saw one of them


def test_a_study_is_judged_by_the_worst_of_its_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = [SimpleNamespace(verdict=Verdict(level)) for level in ("ok", "unreliable", "caution")]
    monkeypatch.setattr(trust_estimators, "fits_of", lambda *_, **__: fits)
    for name in ("effects_of", "tunability"):
        monkeypatch.setattr(trust_estimators, name, lambda *_, **__: [])
    study = study_of("benign", "random", 30, 0)
    assert trust_estimators.ours(trials_table(study), study).level == "unreliable"


def test_estimators_see_as_many_seeds_as_asked() -> None:
    asked = trust.arguments(
        ["--surfaces", "cliff", "--sizes", "30", "60", "--seeds", "3", "--estimators", "ours", "forest:1"]
    )
    jobs = trust.jobs_of(asked)
    assert [job.n for job in jobs] == [60] * 9 + [30] * 9  # three searches of three seeds
    assert [job.seed for job in jobs if "forest" in job.estimators] == [0] * 6
    assert all("ours" in job.estimators for job in jobs)


def test_a_slow_estimator_sees_the_recorded_table_and_a_few_seeds_of_each_other_surface() -> None:
    asked = [
        "--surfaces",
        "recorded",
        "cliff",
        "--sizes",
        "60",
        "--searches",
        "tpe",
        "--estimators",
        "ours",
        "forest:2",
    ]
    seeing = Counter(job.surface for job in trust.jobs_of(trust.arguments(asked)) if "forest" in job.estimators)
    assert seeing == {"recorded": 24, "cliff": 2}
    assert "oak:2" in trust.arguments([]).estimators


def test_a_slow_estimator_sees_the_sizes_at_which_peers_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trust.SLOW, "forest", 2)
    asked = trust.arguments(["--surfaces", "recorded", "--searches", "tpe", "--estimators", "ours", "forest:0"])
    assert {job.n for job in trust.jobs_of(asked) if "forest" in job.estimators} == {60, 200}
    assert {job.n for job in trust.jobs_of(asked) if "ours" in job.estimators} == {30, 60, 100, 200}


def test_the_recorded_table_has_more_seeds_unless_asked() -> None:
    seeds = Counter(job.surface for job in trust.jobs_of(trust.arguments(["--sizes", "30", "--searches", "tpe"])))
    assert seeds["recorded"] == 24
    assert set(seeds.values()) == {9, 24}


@pytest.mark.slow  # two processes that start afresh
def test_the_script_writes_its_page(tmp_path: Path) -> None:
    written = tmp_path / "trust.md"
    asked = ["--surfaces", "recorded", "--searches", "random", "--sizes", "30", "--seeds", "1", "--estimators", "ours"]
    command = [sys.executable, str(SCRIPT), *asked, "--processes", "1", "--write", str(written)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=SCRIPT.parents[1])
    assert done.returncode == 0, done.stderr
    assert done.stdout == written.read_text() + "\n"
    assert f"`python benchmarks/trust.py {' '.join(asked)}`" in written.read_text()
    assert str(tmp_path) not in written.read_text()


def test_an_unknown_estimator_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        trust.main(["--estimators", "oracle"])
    assert "'oracle' is none of ours, fanova" in capsys.readouterr().err


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_gives_shares_of_the_surfaces_own_parameters(name: str) -> None:
    if not ESTIMATORS[name].is_installed:
        pytest.skip(f"{name} needs the extra trust")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = study_of("conditional", "tpe", 40, 0)
    found = ESTIMATORS[name].function(trials_table(study), study)
    own = {frozenset(names) for names in truths_of("conditional").indices}
    assert {frozenset(names) for names in found.estimates} <= own
    assert found.estimates["lr",].value > 0.1
    assert all(0 <= estimate.value <= 1 for estimate in found.estimates.values())
