"""Tables of values for a browser and for LaTeX: how they look, not what they say."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

LATEX = str.maketrans(
    {mark: f"\\{mark}" for mark in "&%_#${}"}
    | {"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}", "\n": " "}
)
SYMBOLS = {"±": r"$\pm$", "×": r"$\times$", "–": "--", "<": "$<$", ">": "$>$"}
MINUS = re.compile(r"(?<![\w.])-(?=\d)")
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem;max-width:90rem}figure{margin:1.5rem 0}"
    "p,li,figcaption{max-width:50rem}.scroll{overflow-x:auto}table{border-collapse:collapse;margin-top:.5rem}"
    "th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #ddd}td{white-space:nowrap}"
    "th{vertical-align:bottom}th:first-child,td:first-child{text-align:left}"
    "tr.best{font-weight:600;background:#eef6ee}tr.tie{background:#f4f4f4}h1{overflow-wrap:anywhere}"
)


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as it is shown: `classes` has a word for each row, by which it is painted."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    classes: Sequence[str]


def html_page(grids: Sequence[Grid], *, title: str, lead: str, sentences: Sequence[str]) -> str:
    """A page: `lead` above the tables, `sentences` below. A table wider than the window scrolls by itself."""
    parts = [f"<h1>{html.escape(title)}</h1>", f"<p>{html.escape(lead)}</p>", *map(_html_table, grids)]
    parts.append("<ul>" + "".join(f"<li>{html.escape(sentence)}</li>\n" for sentence in sentences) + "</ul>")
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _html_table(grid: Grid) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in grid.header)
    body = "".join(
        f'<tr class="{word}">' + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>\n"
        for word, cells in zip(grid.classes, grid.rows, strict=True)
    )
    return (
        f'<figure><figcaption>{html.escape(grid.caption)}</figcaption>\n<div class="scroll" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div></figure>"
    )


def latex_table(grid: Grid, *, title: str) -> str:
    """A table that floats, for any document class and without a package."""
    lines = [
        r"\begin{table}",
        rf"\caption{{{_escaped(title)}: {_escaped(grid.caption)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(grid.header) - 1)}}}",
        r"\hline",
        " & ".join(map(_escaped, grid.header)) + r" \\",
        r"\hline",
        *(" & ".join(map(_escaped, cells)) + r" \\" for cells in grid.rows),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def latex_comment(sentences: Sequence[str]) -> str:
    """Sentences for whoever reads the source."""
    return "".join(f"% {' '.join(sentence.split())}\n" for sentence in sentences)


def _escaped(text: str) -> str:
    escaped = MINUS.sub("$-$", text.translate(LATEX))
    for symbol, written in SYMBOLS.items():
        escaped = escaped.replace(symbol, written)
    return escaped
