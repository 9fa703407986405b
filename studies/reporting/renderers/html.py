"""A finding as a page for a browser."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import zip_longest

from studies.reporting.finding import Bullets, Command, Drawing, Finding, Heading, Paragraph, Table
from studies.reporting.layout import Layout

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem;max-width:90rem}figure{margin:1.5rem 0}"
    "p,li,figcaption{max-width:50rem}.scroll{overflow-x:auto}table{border-collapse:collapse;margin-top:.5rem}"
    "th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid #ddd}td{white-space:nowrap}"
    "th{vertical-align:bottom}th:first-child,td:first-child{text-align:left}img{max-width:100%}"
    "tr.best{font-weight:600;background:#eef6ee}tr.equivalent{background:#f6faf6}tr.worse{color:#777}tr.not_shown{font-style:italic}h1{overflow-wrap:anywhere}"
)


def page(finding: Finding, layout: Layout) -> str:
    """Return the page without the headline. Wide tables scroll by themselves."""
    title = escape(layout.title)
    body = "\n".join([f"<h1>{title}</h1>", *_blocks(finding, layout)])
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style>"
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _blocks(finding: Finding, layout: Layout) -> Iterator[str]:
    for block in finding.blocks:
        match block:
            case Paragraph():
                yield f"<p>{_text(block)}</p>"
            case Bullets(items):
                yield "<ul>" + "".join(f"<li>{_text(item)}</li>\n" for item in items) + "</ul>"
            case Heading(text):
                yield f"<h2>{escape(text)}</h2>"
            case Command(text):
                yield f"<pre>{escape(text)}</pre>"
            case Table():
                yield _table(block)
            case Drawing():
                path, caption = escape(layout.picture_of(block)), escape(block.caption)
                yield f'<figure><img src="{path}" alt="{caption}"><figcaption>{caption}.</figcaption></figure>'
            case _:
                continue


def _text(paragraph: Paragraph) -> str:
    lead = f"<strong>{escape(paragraph.lead)}</strong>" if paragraph.lead else ""
    return lead + escape(paragraph.text)


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    body = "".join(
        f'<tr class="{mark}">' + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>\n"
        for cells, mark in zip_longest(table.rows, table.marks, fillvalue="")
    )
    return (
        f'<figure><figcaption>{escape(table.caption)}</figcaption>\n<div class="scroll" tabindex="0"><table>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div></figure>"
    )
