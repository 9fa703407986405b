"""The tables of a finding in LaTeX, for any document class and without a package."""

from __future__ import annotations

import re

from studies.reporting.finding import Bullets, Finding, Table
from studies.reporting.layout import Layout

ESCAPES = str.maketrans(
    {mark: f"\\{mark}" for mark in "&%_#${}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "\n": " "}
)
SYMBOLS = {"±": r"$\pm$", "×": r"$\times$", "–": "--", "<": "$<$", ">": "$>$"}
MINUS = re.compile(r"(?<![\w.])-(?=\d)")


def page(finding: Finding, layout: Layout) -> str:
    """Return each table as a floating one. The lists of the finding stand above, as comments."""
    notes = [item.text for block in finding.blocks if isinstance(block, Bullets) for item in block.items]
    comments = "".join(f"% {' '.join(note.split())}\n" for note in notes)
    tables = [_table(block, title=layout.title) for block in finding.blocks if isinstance(block, Table)]
    return comments + "\n".join(tables)


def _table(table: Table, *, title: str) -> str:
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(f'{title}: {table.caption}')}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}",
        r"\hline",
        " & ".join(map(_escaped, table.header)) + r" \\",
        r"\hline",
        *(" & ".join(map(_escaped, cells)) + r" \\" for cells in table.rows),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    escaped = MINUS.sub("$-$", text.translate(ESCAPES))
    for symbol, written in SYMBOLS.items():
        escaped = escaped.replace(symbol, written)
    return escaped
