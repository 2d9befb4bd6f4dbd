"""Opens workbooks, run as a process of its own by `did.readers.workbook`, within limits on memory and time.

Arguments: folder of the parser's package, bytes of memory, seconds of processor time for each workbook, most cells. It
reads the path of a workbook, writes its sheets' names, reads the name of one, and writes its last cell (counted from 0,
None if empty) and, if asked for, its cells, in which, if that is wanted, a number formatted as a percentage is text
such as 65%; then the next name. None in place of a name ends with a workbook, and the next path comes.
All are pickled; an error ends it as ("error", words).
"""

import math
import pickle
import re
import sys
import zipfile
from xml.etree import ElementTree


def _limited(memory: int, seconds: int) -> None:
    """Set the limits, that on time from now on, rounded up."""
    try:
        import resource
    except ImportError:  # no such limits on this system
        return
    spent = resource.getrusage(resource.RUSAGE_SELF)
    seconds += math.ceil(spent.ru_utime + spent.ru_stime)
    for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (most, hard))
        except (ValueError, OSError):  # not every system has every limit
            continue


def _send(kind: str, what: object) -> None:
    pickle.dump((kind, what), sys.stdout.buffer)
    sys.stdout.buffer.flush()


_BUILT_IN = {"9", "10"}   # number formats 0% and 0.00%


def _percentages(path: str, sheet: str) -> set[tuple[int, int]]:
    """Row and column, counted from 0, of the cells of an .xlsx sheet whose number format is a percentage; none for
    other kinds of workbook, whose formats the parser does not tell."""
    if not zipfile.is_zipfile(path):
        return set()
    with zipfile.ZipFile(path) as book:
        names = set(book.namelist())
        if not {"xl/workbook.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels"} <= names:
            return set()
        styles = _percent_styles(ElementTree.fromstring(book.read("xl/styles.xml")))
        place = _part_of(book, sheet)
        if not styles or place not in names:
            return set()
        found = set()
        with book.open(place) as part:
            for _, cell in ElementTree.iterparse(part):
                tag = cell.tag.rpartition("}")[2]
                if tag == "c" and cell.get("s") in styles and cell.get("t", "n") == "n" and cell.get("r"):
                    letters, row = re.fullmatch(r"([A-Z]+)(\d+)", cell.get("r")).groups()
                    column = 0
                    for letter in letters:
                        column = column * 26 + ord(letter) - 64
                    found.add((int(row) - 1, column - 1))
                if tag == "row":
                    cell.clear()
        return found


def _percent_styles(styles: ElementTree.Element) -> set[str]:
    """Numbers of the cell styles whose number format shows a percentage."""
    formats = _BUILT_IN | {each.get("numFmtId") for each in styles.iterfind(".//{*}numFmt")
                           if "%" in re.sub(r'"[^"]*"|\\.', "", each.get("formatCode", ""))}
    used = styles.findall("{*}cellXfs/{*}xf")
    return {str(place) for place, each in enumerate(used) if each.get("numFmtId") in formats}


def _part_of(book: zipfile.ZipFile, sheet: str) -> str:
    """The part of an .xlsx file that holds a sheet."""
    identity = next((key for each in ElementTree.fromstring(book.read("xl/workbook.xml")).iterfind(".//{*}sheet")
                     if each.get("name") == sheet for name, key in each.items() if name.endswith("}id")), None)
    targets = {each.get("Id"): each.get("Target", "")
               for each in ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))}
    target = targets.get(identity, "")
    return target[1:] if target.startswith("/") else f"xl/{target}"


def _with_percentages(cells: list, places: set[tuple[int, int]]) -> list:
    """The cells, with the numbers at ``places`` as a reader of the sheet sees them: 0.65 is 65%."""
    for row, column in places:
        if row < len(cells) and column < len(cells[row]) and isinstance(cells[row][column], (int, float)):
            cells[row][column] = f"{cells[row][column] * 100:.15g}%"
    return cells


def _serve(path: str, most_cells: int) -> None:
    from python_calamine import CalamineWorkbook

    book = CalamineWorkbook.from_path(path)
    _send("names", book.sheet_names)
    while (asked := pickle.load(sys.stdin.buffer)) is not None:
        name, with_cells, as_shown = asked
        sheet = book.get_sheet_by_name(name)
        _send("end", sheet.end)
        if with_cells:
            rows, columns = (place + 1 for place in sheet.end or (-1, -1))
            if rows * columns > most_cells:
                _send("size", (rows, columns))
            else:
                cells = sheet.to_python(skip_empty_area=False)
                _send("cells", _with_percentages(cells, _percentages(path, name)) if as_shown else cells)


def main(memory: int, seconds: int, most_cells: int) -> None:
    from python_calamine import CalamineError

    try:
        while True:
            path = pickle.load(sys.stdin.buffer)
            _limited(memory, seconds)
            _serve(path, most_cells)
    except EOFError:
        return
    except (CalamineError, OSError, ValueError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        _send("error", str(error))


if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    main(*(int(word) for word in sys.argv[2:5]))
