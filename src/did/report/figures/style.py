"""One look for every figure, and one way to save it: vector picture, numbers behind it and alternative text.

Follows the UK Government Analysis Function guidance on charts and colours
(https://analysisfunction.civilservice.gov.uk/policy-store/data-visualisation-charts/): a title that says what
is shown, a subtitle with measure, place and period, horizontal text of 12 points or more, light horizontal
gridlines only, labels on the marks, never colour alone, a source line. Lengths are inches; figures are
9 inches wide, which is 864 pixels of a web page. No state of matplotlib outside the figure is changed.
"""

from __future__ import annotations

import bisect
import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextToPath
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from did.report.figures import svg
from did.report.figures.pane import Pane
from did.store.provenance import atomic, write_text
from did.store.result_csv import write_csv
from did.words import number, short_decimals

PALETTE = ("#12436D", "#28A197", "#801650", "#F46A25", "#3D3D3D", "#A285D1")
INK = "#3D3D3D"
GRID = "#D9D9D9"
# Behind a label inside a plot, so that no line runs through its letters.
CLEAR = {"facecolor": "white", "edgecolor": "none", "pad": 1}
WIDTH, EDGE = 9.0, 0.15  # inches
TEXT_SIZE, TITLE_SIZE = 12.0, 15.0  # points
SYNTHETIC = "SYNTHETIC"
NOT_REAL = "SYNTHETIC data, not the publishers'."
# All of matplotlib's settings, its defaults among them: a user's matplotlibrc changes no figure.
SETTINGS: dict[Any, Any] = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"} | {
    # The first comes with matplotlib: the same shapes on every machine. A browser without it takes the next.
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "Helvetica"],
    "font.size": TEXT_SIZE,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.spines.left", "ytick.left"), False),
    "ytick.major.size": 0,  # part of how far a label is from the axis
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "grid.color": GRID,
    "svg.fonttype": "none",
    "svg.hashsalt": "did",
    "text.parse_math": False,  # a $ in a title is a $
    "lines.solid_capstyle": "butt",  # an interval's line ends where the interval does
}


@dataclass(frozen=True)
class Frame:
    """What stands around a figure, and where it goes: every figure is ``figure(rows, frame, *, options)``.

    stem : the files' path without their endings.
    title, subtitle, source : the words over and under the plot, each of any length; the source without a "Source:".
    units : what the units are called.
    unit : of the values drawn, such as "days per 100,000 adults"; "" if they have none.
    is_synthetic : whether the data are made up, which page and files then say.
    width : of the whole figure, inches.
    pictures : folder of the picture, where that is not the one of its numbers and alternative text.

    >>> frame = Frame("results/waits", "Waits", "Days, England.", "a publisher")
    >>> frame.saying("30 areas.").subtitle
    'Days, England. 30 areas.'
    """

    stem: str | Path
    title: str
    subtitle: str
    source: str
    units: str = "areas"
    unit: str = ""
    is_synthetic: bool = False
    width: float = WIDTH
    pictures: Path | None = None

    @property
    def axis_unit(self) -> str:
        """The unit as the words along an axis; "" where the subtitle says it already."""
        return "" if self.unit.lower() in self.subtitle.lower() else self.unit

    def saying(self, words: str) -> Frame:
        """Return the frame with ``words`` at the end of its subtitle."""
        return replace(self, subtitle=f"{self.subtitle} {words}")

    def marked(self, rows: pd.DataFrame) -> Frame:
        """Return the frame of ``rows``: synthetic if it is already, or if any row's ``is_synthetic`` is true."""
        return replace(self, is_synthetic=self.is_synthetic or bool(rows["is_synthetic"].any()))


# Put before each function that draws a figure; once for a whole figure, since to change the settings takes 0.5 ms.
drawing = matplotlib.rc_context(SETTINGS)


@functools.cache
def font(size: float = TEXT_SIZE, *, bold: bool = False) -> FontProperties:
    """Return the figures' font at ``size`` points."""
    return FontProperties(family="sans-serif", size=size, weight="bold" if bold else "normal")


def text_width(text: str, size: float = TEXT_SIZE, *, bold: bool = False) -> float:
    """Return the width in inches of one line of text: that of its letters, which kerning may make a little less."""
    return size * sum(_letter_width(letter, bold) for letter in text)


@functools.cache
def _letter_width(letter: str, bold: bool) -> float:
    """Width in inches of a letter of one point."""
    # The family by its name, since "sans-serif" would be looked up in settings that take longer to change than this.
    named = FontProperties(family=SETTINGS["font.sans-serif"][0], size=100, weight="bold" if bold else "normal")
    return TextToPath().get_text_width_height_descent(letter, named, ismath=False)[0] / 7200


def wrap(text: str, width: float, size: float = TEXT_SIZE, *, bold: bool = False) -> list[str]:
    """Return ``text`` as lines no wider than ``width`` inches, broken at spaces and at given line breaks. No-break
    spaces hold together. A single word wider than that is broken where it must be."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        words = [part for word in paragraph.split(" ") for part in _broken(word, width, size, bold=bold)]
        for word in words:
            longer = f"{line} {word}".strip()
            if line and text_width(longer, size, bold=bold) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def shortened(text: str, width: float, size: float = TEXT_SIZE, *, bold: bool = False) -> str:
    """Return ``text``, or as much of its beginning as fits into ``width`` inches with three dots after it."""
    if text_width(text, size, bold=bold) <= width:
        return text
    return _broken(text, width - text_width("...", size, bold=bold), size, bold=bold)[0] + "..."


def _broken(word: str, width: float, size: float, *, bold: bool) -> list[str]:
    """The word in parts no wider than ``width``, each of one character at least."""
    parts = []
    while len(word) > 1 and text_width(word, size, bold=bold) > width:
        fits = bisect.bisect(range(1, len(word)), width, key=lambda n: text_width(word[:n], size, bold=bold))
        parts.append(word[:max(fits, 1)])
        word = word[max(fits, 1):]
    return [*parts, word]


def line_height(size: float = TEXT_SIZE) -> float:
    """Return the distance in inches between lines of text of ``size`` points."""
    return 1.3 * size / 72


def page(plot_height: float, frame: Frame, *, footnote: str = "") -> tuple[Figure, float]:
    """Return a new figure with the frame's title, subtitle and source line, and the height at which its plot area
    begins.

    The plot area is ``plot_height`` inches high and as wide as the figure; the figure is made as much higher
    as the wrapped texts need. A ``footnote`` stands above the source line. Of synthetic data title, subtitle
    and source line say so, and SYNTHETIC stands across the figure, behind text and marks.
    """
    title, subtitle, source = frame.title, frame.subtitle, frame.source
    if frame.is_synthetic:
        title, subtitle = f"{SYNTHETIC}: {title}", f"{NOT_REAL} {subtitle}"
        publishers, semicolon, rest = source.partition(";")
        source = f"made-up data in the publishers' formats ({publishers}){semicolon}{rest}"
    width = frame.width - 2 * EDGE
    heads = [(line, TITLE_SIZE, True) for line in wrap(title, width, TITLE_SIZE, bold=True)]
    heads += [(line, TEXT_SIZE, False) for line in wrap(subtitle.strip(), width)] if subtitle.strip() else []
    feet = (wrap(footnote, width) if footnote else []) + wrap(f"Source: {source}", width)
    foot = EDGE + len(feet) * line_height() + 0.1
    head = EDGE + sum(line_height(size) for _, size, _ in heads) + 0.15
    height = foot + plot_height + head
    figure = Figure(figsize=(frame.width, height), dpi=96)
    figure.set_label(title)
    top = height - EDGE
    for line, size, bold in heads:
        write(figure, EDGE, top, line, size=size, bold=bold, va="top")
        top -= line_height(size)
    for position, line in enumerate(reversed(feet)):
        write(figure, EDGE, EDGE + position * line_height(), line, va="bottom")
    # A figure much higher than wide has it twice, so that no part cut out of it is without.
    for at in ([0.5] if height < 1.1 * frame.width else [0.27, 0.73]) if frame.is_synthetic else []:
        figure.text(0.5, at, SYNTHETIC, ha="center", va="center", rotation=30, alpha=0.22, color="#9A9A9A", zorder=-1,
                    gid="synthetic", fontproperties=font(92, bold=True))
    return figure, foot


def add_axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return new axes of the house style, placed in inches from the figure's lower left corner."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up), axes_class=Pane)


def value_axis(axes: Axes, most: int, which: str = "y") -> None:
    """Put at most ``most`` ticks on an axis of values, each with no more decimals than it needs, and lines behind."""
    axis = getattr(axes, f"{which}axis")
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(lambda value, _: number(value, short_decimals(value)))
    axes.grid(axis=which)


def limits(values: np.ndarray, room: float) -> tuple[float, float]:
    """Return limits of an axis that hold zero and all that is finite, with so large a share of their span at each end.
    """
    known = np.append(values[np.isfinite(values)], 0.0)
    more = room * (known.max() - known.min() or 1.0)
    return float(known.min() - more), float(known.max() + more)


def write(figure: Figure, x: float, y: float, text: str, *, bold: bool = False, size: float = TEXT_SIZE,
          va: str = "center") -> None:
    """Write a line of text at so many inches from the figure's lower left corner."""
    across, up = figure.get_size_inches()
    figure.text(x / across, y / up, text, va=va, fontproperties=font(size, bold=bold))


def write_beside(axes: Axes, x: float, y: float, text: str, *, right: bool = False, bold: bool = False,
                 **settings: Any) -> None:
    """Write a line of text at so many inches from the left edge of the axes and at the height of the data value ``y``,
    ending there if ``right``."""
    width = axes.get_position().width * axes.figure.get_size_inches()[0]
    axes.text(x / width, y, text, transform=axes.get_yaxis_transform(), ha="right" if right else "left", va="center",
              fontproperties=font(bold=bold), **settings)


def write_near(axes: Axes, x: float, y: float, text: str, offset: tuple[float, float], **settings: Any) -> None:
    """Write lines of text whose top is so many points across and up from the data value ``x`` and the share ``y`` of
    the height of the axes."""
    axes.text(x, y, text, transform=offset_copy(axes.get_xaxis_transform(), axes.figure, *offset, units="points"),
              va="top", fontproperties=font(), **settings)


def line(axes: Axes, x: Any, y: Any, **look: Any) -> None:
    """Draw a line or marks on axes whose limits are set; `Axes.plot` would work out those of what it draws."""
    axes.add_artist(Line2D(x, y, **look))


def rule(axes: Axes, value: float, which: str = "y", **look: Any) -> None:
    """Draw a line at a value of the axis ``which`` from one end of the other to its other end."""
    if which == "y":
        line(axes, [0, 1], [value, value], transform=axes.get_yaxis_transform(), **look)
    else:
        line(axes, [value, value], [0, 1], transform=axes.get_xaxis_transform(), **look)


def lines(axes: Axes, at: np.ndarray, low: np.ndarray, high: np.ndarray, which: str = "x", **look: Any) -> None:
    """Draw a line along the axis ``which`` at each place, as one path with gaps, which is a third of the bytes of one
    path each."""
    if len(at):
        ends, places = np.column_stack([low, high, np.full(len(at), np.nan)]).ravel(), np.repeat(at, 3)
        line(axes, *((ends, places) if which == "x" else (places, ends)), zorder=2, **look)


def save(figure: Figure, frame: Frame, alt_text: str, numbers: pd.DataFrame) -> list[Path]:
    """Write the frame's ``stem.svg`` (in ``pictures``, if it has that), ``.csv`` (the numbers), ``.txt`` (alternative
    text); return the paths.

    Each is written whole or not at all, and equal figures give equal bytes. ``numbers`` is any tidy frame of
    what is drawn; missing values become empty cells. Of synthetic data the alternative text says so first, and every
    row of the numbers is marked.
    """
    stem = Path(frame.stem)
    paths = [(frame.pictures or stem.parent) / f"{stem.name}.svg",
             *(stem.with_name(f"{stem.name}.{ending}") for ending in ("csv", "txt"))]
    alt_text = " ".join(f"{NOT_REAL if frame.is_synthetic else ''} {alt_text}".split())
    with atomic(paths[0]) as part:
        figure.savefig(part, format="svg", backend=f"module://{svg.__name__}", metadata={
            "Title": figure.get_label(), "Description": alt_text, "Date": None, "Creator": "did"})
    write_csv(paths[1], numbers.assign(is_synthetic=frame.is_synthetic))
    write_text(paths[2], f"{alt_text}\n")
    return paths
