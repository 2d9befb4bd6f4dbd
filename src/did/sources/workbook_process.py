"""Opens one workbook, run as a process of its own by `did.sources.workbook`, within limits on memory and time.

Arguments: folder of the parser's package, path, bytes of memory, seconds of processor time, most cells. It writes the
sheets' names, reads the name of one, and writes its last cell (counted from 0, None if empty) and, if asked for, its
cells; then the next name. All are pickled; an error ends it as ("error", words).
"""

import pickle
import sys


def _limited(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # no such limits on this system
        return
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


def main(path: str, memory: int, seconds: int, most_cells: int) -> None:
    from python_calamine import CalamineError, CalamineWorkbook

    _limited(memory, seconds)
    try:
        book = CalamineWorkbook.from_path(path)
        _send("names", book.sheet_names)
        while True:
            name, with_cells = pickle.load(sys.stdin.buffer)
            sheet = book.get_sheet_by_name(name)
            _send("end", sheet.end)
            if with_cells:
                rows, columns = (place + 1 for place in sheet.end or (-1, -1))
                if rows * columns > most_cells:
                    _send("size", (rows, columns))
                else:
                    _send("cells", sheet.to_python(skip_empty_area=False))
    except EOFError:
        return
    except (CalamineError, OSError, ValueError) as error:
        _send("error", str(error))


if __name__ == "__main__":
    sys.path.append(sys.argv[1])
    main(sys.argv[2], *(int(word) for word in sys.argv[3:6]))
