"""Names in a report: Markdown, LaTeX and commands show each as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from studies.reporting.finding import Finding, Table
from studies.reporting.layout import layout
from studies.reporting.renderers import latex
from studies.reporting.wording import code, plain, table


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("batch_size", "batch_size"),
        ("val/acc", "val/acc"),
        ("val[/acc]", "val[/acc]"),
        ("< 0.001", "< 0.001"),
        ("[8, 17]", "[8, 17]"),
        ("a*b", r"a\*b"),
        ("_private_", r"\_private\_"),
        ("`x`", r"\`x\`"),
        ("<b>", r"\<b>"),
        ("[a](b)", r"[a]\(b)"),
        ("a~~b", r"a\~~b"),
        ("\\*", r"\\\*"),
        ("C:\\data", "C:\\data"),
        ("x #", r"x \#"),
        ("two\nlines", "two lines"),
        ("a|b", "a∣b"),
    ],
)
def test_a_name_is_no_markup(name: str, shown: str) -> None:
    assert plain(name) == shown
    assert table((name,), [(name,)]).splitlines() == [f"| {shown} |", "| --- |", f"| {shown} |"]


def test_a_path_with_a_backtick_is_code() -> None:
    assert code("outputs/a`b") == "`` outputs/a`b ``"
    assert code("outputs/a") == "`outputs/a`"


def test_a_name_is_no_latex() -> None:
    finding = Finding("", blocks=(Table(("a{b}^c\\d_e%",), ()),))
    written = latex.page(finding, layout(Path(), "x", [finding], []))
    assert r"a\{b\}\textasciicircum{}c\textbackslash{}d\_e\%" in written
