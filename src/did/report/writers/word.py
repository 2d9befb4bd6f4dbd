"""The writer of Word: tables in the few parts of Office Open XML that they need; the same tables, the same bytes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from did.report.content.table import Column, Table, usual

# A4 on its side with margins of 1.5 cm, in twentieths of a point.
PAGE = (16838, 11906)
MARGIN = 850
FIXED = (1980, 1, 1, 0, 0, 0)
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPES = "application/vnd.openxmlformats-officedocument.wordprocessingml"
XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
OWN = ' w:customStyle="1"'
# Style, its label, size in half points, kind, room after it, and whether it is a head, bold and kept with what follows.
STYLES = [("Normal", "Normal", 18, ' w:default="1"', 80, False), ("Heading1", "heading 1", 28, "", 80, True),
          ("Caption", "caption", 18, "", 80, True), ("Cell", "Table Cell", 15, OWN, 20, False),
          ("Note", "Table Note", 15, OWN, 80, False)]
CONTENT = {"/word/document.xml": f"{TYPES}.document.main+xml", "/word/styles.xml": f"{TYPES}.styles+xml",
           "/docProps/core.xml": "application/vnd.openxmlformats-package.core-properties+xml"}


def document(tables: Sequence[Table], *, title: str, banner: str = "") -> bytes:
    """Return a .docx file with a heading, ``banner`` if there is one, and each table with its caption and notes. Header
    rows repeat on every page, rows do not break across pages, nothing is merged, and the tables have alternative text
    (ECMA-376, part 1, section 17.4). The language is British English. Equal arguments give equal bytes."""
    body = [_paragraph(title, "Heading1")]
    for table in tables:
        # Each table may be taken out alone, and says by itself that its data are made up.
        body += [_paragraph(banner, "Normal", bold=True)] if banner else []
        body += [_paragraph(table.caption, "Caption"), _table(table)]
        body += [_paragraph(note, "Note") for note in table.notes]
    given = "".join(f'<Override PartName="{name}" ContentType="{kind}"/>' for name, kind in CONTENT.items())
    width, height = PAGE
    section = (f'<w:sectPr><w:pgSz w:w="{width}" w:h="{height}" w:orient="landscape"/><w:pgMar w:top="{MARGIN}" '
               f'w:right="{MARGIN}" w:bottom="{MARGIN}" w:left="{MARGIN}" w:header="400" w:footer="400" w:gutter="0"/>'
               "</w:sectPr>")
    return zipped({
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType='
                               '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
                               f'ContentType="application/xml"/>{given}</Types>',
        "_rels/.rels": _relations({f"{OFFICE}/officeDocument": "word/document.xml",
                                   f"{PACKAGE}/relationships/metadata/core-properties": "docProps/core.xml"}),
        "docProps/core.xml": f'<cp:coreProperties xmlns:cp="{PACKAGE}/metadata/core-properties" '
                             'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator>ics-did</dc:creator><dc:language>'
                             f'en-GB</dc:language><dc:title>{escape(title)}</dc:title></cp:coreProperties>',
        "word/_rels/document.xml.rels": _relations({f"{OFFICE}/styles": "styles.xml"}),
        "word/document.xml": f'<w:document xmlns:w="{W}"><w:body>{"".join(body)}{section}</w:body></w:document>',
        "word/styles.xml": _styles(),
    })


def zipped(parts: Mapping[str, str]) -> bytes:
    """Return XML texts by path as a zip file whose entries carry one fixed date."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        for name, text in parts.items():
            entry = zipfile.ZipInfo(name, FIXED)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o600 << 16
            archive.writestr(entry, (XML + text).encode())
    return into.getvalue()


def _paragraph(text: str, style: str, *, bold: bool = False, right: bool = False) -> str:
    side = '<w:jc w:val="right"/>' if right else ""
    weight = "<w:rPr><w:b/></w:rPr>" if bold else ""
    words = " ".join(str(text).split())
    return (f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{side}</w:pPr><w:r>{weight}<w:t xml:space="preserve">'
            f"{escape(words)}</w:t></w:r></w:p>")


def _table(table: Table) -> str:
    # Columns share the page by what must stand in one line: words, and the whole of what is aligned right.
    shown = table.shown
    share = [_width(column, texts) for column, texts in zip(shown, table.cells, strict=True)]
    room = PAGE[0] - 2 * MARGIN
    widths = [int(room * part / sum(share)) for part in share]
    lines = "".join(f'<w:{side} w:val="single" w:sz="{size}" w:space="0" w:color="3D3D3D"/>'
                    for side, size in (("top", 8), ("bottom", 8), ("insideH", 2)))
    right = [column.is_numeric for column in shown]
    head = _row([column.heading for column in shown], widths, right, header=True)
    body = "".join(_row(row, widths, right) for row in table.texts())
    grid = "".join(f'<w:gridCol w:w="{width}"/>' for width in widths)
    return (f'<w:tbl><w:tblPr><w:tblW w:w="{sum(widths)}" w:type="dxa"/><w:tblBorders>{lines}</w:tblBorders>'
            '<w:tblLayout w:type="fixed"/><w:tblLook w:val="0020" w:firstRow="1"/>'
            f"<w:tblCaption w:val={quoteattr(table.caption)}/></w:tblPr><w:tblGrid>{grid}</w:tblGrid>{head}{body}"
            "</w:tbl>")


def _width(column: Column, texts: Sequence[str]) -> float:
    whole = max((len(part) for text in texts for part in ([text] if column.is_numeric else text.split())), default=1)
    return max(whole, *map(len, column.heading.split()), 0.0 if column.is_numeric else 0.5 * usual(texts)) + 2


def _row(cells: Sequence[str], widths: list[int], right: Sequence[bool], *, header: bool = False) -> str:
    repeat = "<w:tblHeader/>" if header else ""
    made = "".join(f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/></w:tcPr>'
                   f"{_paragraph(cell, 'Cell', bold=header, right=side)}</w:tc>"
                   for cell, width, side in zip(cells, widths, right, strict=True))
    return f"<w:tr><w:trPr><w:cantSplit/>{repeat}</w:trPr>{made}</w:tr>"


def _styles() -> str:
    made = []
    for name, label, size, kind, after, head in STYLES:
        made.append(f'<w:style w:type="paragraph"{kind} w:styleId="{name}"><w:name w:val="{label}"/><w:pPr>'
                    f'{"<w:keepNext/>" if head else ""}<w:spacing w:before="20" w:after="{after}"/>'
                    f'{"<w:outlineLvl w:val=" + quoteattr("0") + "/>" if name == "Heading1" else ""}</w:pPr><w:rPr>'
                    f'{"<w:b/>" if head else ""}<w:sz w:val="{size}"/></w:rPr></w:style>')
    return (f'<w:styles xmlns:w="{W}"><w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="Arial" w:hAnsi="Arial" '
            'w:cs="Arial"/><w:sz w:val="18"/><w:lang w:val="en-GB"/></w:rPr></w:rPrDefault></w:docDefaults>'
            f'{"".join(made)}</w:styles>')


def _relations(targets: Mapping[str, str]) -> str:
    made = "".join(f'<Relationship Id="rId{place}" Type="{kind}" Target="{target}"/>'
                   for place, (kind, target) in enumerate(targets.items(), start=1))
    return f'<Relationships xmlns="{PACKAGE}/relationships">{made}</Relationships>'
