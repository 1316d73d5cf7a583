"""Tables and the style of documents that are printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
@page { size: A4; margin: 18mm 18mm 20mm;
  @bottom-left { content: "REPORT"; font: 8pt system-ui, sans-serif; color: #56635c }
  @bottom-right { content: counter(page) " of " counter(pages);
    font: 8pt system-ui, sans-serif; color: #56635c } }
body { font: 10.5pt/1.5 system-ui, sans-serif; color: #1b2420; max-width: 174mm; margin: 12mm auto }
h1 { font-size: 20pt; line-height: 1.2; margin: 0 0 2mm }
h2 { font-size: 13pt; margin: 9mm 0 2mm; break-after: avoid }
h3 { font-size: 10.5pt; margin: 5mm 0 1mm; break-after: avoid }
p { margin: 0 0 2mm }
.quiet { color: #56635c; font-size: 9pt }
.notice { border: 0.6mm solid #a33b1f; padding: 2mm 3mm; margin: 3mm 0; break-inside: avoid }
.signed { margin-top: 7mm; break-inside: avoid }
table { border-collapse: collapse; width: 100%; font-size: 8.5pt; margin: 1mm 0 3mm }
th, td { text-align: left; padding: 0.8mm 2mm 0.8mm 0; border-bottom: 0.2mm solid #c9d1cc;
  vertical-align: top }
th[scope=row] { font-weight: 600; width: 26mm }
.long { overflow-wrap: anywhere }
thead { display: table-header-group }
tr { break-inside: avoid }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.sum td { font-weight: 600; border-top: 0.4mm solid #1b2420 }
code { font-size: 8pt; overflow-wrap: anywhere }
section { break-before: page }
@media print { body { margin: 0; max-width: none } }
"""

_RIGHT = " class='n'"
#: A word longer than this may be broken, as an address; no other may.
_LONGEST_WORD = 16


def style(footer: str) -> str:
    """With a footer on every printed page; of its text only what cannot end a string."""
    plain = "".join(c for c in footer if c.isalnum() or c in "-_ ")
    return _STYLE.replace("REPORT", plain)


def cell_table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    whole: Sequence[str] | None = None,
    numbers: Iterable[int] = (),
    headless: bool = False,
) -> str:
    """Columns of `numbers` stand right; `whole` is a last row that sums; without a head the first
    column names the rows."""
    right = frozenset(numbers)

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{_RIGHT if i in right else _wrapped(text)}>{escape(text)}</{tag}>"
            for i, text in enumerate(row)
        )

    if headless:
        body = "".join(
            f"<tr><th scope='row'>{escape(row[0])}</th>{cells('td', row[1:])}</tr>" for row in rows
        )
        return f"<table><tbody>{body}</tbody></table>"
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    total = f"<tr class='sum'>{cells('td', whole)}</tr>" if whole else ""
    return f"<table><thead><tr>{cells('th', head)}</tr></thead><tbody>{body}{total}</tbody></table>"


def _wrapped(text: str) -> str:
    is_long = any(len(word) > _LONGEST_WORD for word in text.split())
    return " class='long'" if is_long else ""
