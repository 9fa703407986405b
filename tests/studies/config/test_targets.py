"""The callables behind a `_target_`, and modules that fail or are interrupted on their import."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.config.targets import TargetBroken, find_target
from studies.process.signals import EndedBySignal


@pytest.mark.parametrize(
    ("ending", "raised"),
    [
        ("raise SystemExit(3)", TargetBroken),
        ("raise ValueError", TargetBroken),
        ("from studies.process.signals import EndedBySignal; raise EndedBySignal(130)", EndedBySignal),
    ],
)
def test_a_signal_during_an_import_ends_the_command_and_a_modules_own_end_is_its_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, raised: type[BaseException]
) -> None:
    (tmp_path / "ends_on_import.py").write_text(f"{ending}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(raised):
        find_target("ends_on_import.Model")
