"""Figures, one file each, and the only home of matplotlib.

Each function takes arrays or the result table and returns a `matplotlib.figure.Figure`. None of them opens a
pyplot figure, shows, or writes: `render` gives the bytes, the caller puts them somewhere.
"""

import io
import re
from collections.abc import Sequence

import matplotlib
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from PIL import Image

from engine.errors import BadInput

STYLE = mplhep.style.ROOT | {
    "figure.figsize": (8.0, 6.0),
    "font.size": 15,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.linewidth": 1.2,
    "legend.fontsize": 12,
    "xtick.major.size": 8,
    "xtick.minor.size": 4,
    "ytick.major.size": 8,
    "ytick.minor.size": 4,
}
METADATA = {"png": {"Software": None}, "pdf": {"CreationDate": None}}  # no dates: same figure, same bytes
MATH = re.compile(r"\$.*?\$")  # of a label
LEAN_PX = 1600  # twice what a page shows
styled = matplotlib.rc_context(STYLE)  # decorates: draw in our style, leave rcParams alone


def canvas() -> tuple[Figure, Axes]:
    """An empty figure that pyplot does not know, and its axes."""
    figure = Figure(layout="constrained")
    return figure, figure.subplots()


def columns_that_fit(figure: Figure, labels: Sequence[str], most: int) -> int:
    """Columns of a legend, so many at most, in which these labels do not reach beyond the figure."""
    em, shown = STYLE["legend.fontsize"], [MATH.sub("mmmm", label) for label in labels]

    def width(n: int) -> float:  # half an em a letter; handle and gaps take five
        return sum(em * (0.52 * max(map(len, some)) + 5) for some in np.array_split(shown, n))

    return next((n for n in range(min(most, len(shown)), 1, -1) if width(n) <= 72 * figure.get_figwidth()), 1)


def legend_below(figure: Figure, columns: int = 3) -> None:
    """A legend under the axes, where it hides nothing, each label once; none if nothing has a label."""
    handles = {label: handle for axes in figure.axes
               for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}  # fmt: skip
    if handles:
        fitting = columns_that_fit(figure, list(handles), columns)
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=fitting)


def plain_numbers(axis: Axis) -> None:
    """1, 2, 5, 10, ... as ticks of a logarithmic axis of a few decades, in place of powers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def check_format(format: str) -> None:
    """Raises BadInput for a format that `render` does not have."""
    if format not in METADATA:
        raise BadInput(f"figure format {format!r}; accepted: {', '.join(METADATA)}")


@styled
def render(figure: Figure, format: str) -> bytes:
    """The figure as `png` or `pdf` bytes, without dates. Raises BadInput for another format."""
    check_format(format)
    if layout := figure.get_layout_engine():
        layout.execute(figure)
        figure.set_layout_engine(None)  # constrained layout moves a little with every drawing, and would draw twice
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format, dpi=130, metadata=METADATA[format])
    return buffer.getvalue()


def lean(png: bytes) -> bytes:
    """A drawn figure as a PNG of a third of its bytes: at most LEAN_PX wide, of 256 colours."""
    with Image.open(io.BytesIO(png)) as image:
        flat = image.convert("RGB")
    flat.thumbnail((LEAN_PX, 4 * LEAN_PX))
    buffer = io.BytesIO()
    # of the ways to choose colours the one that keeps rare ones, such as the upper end of a colour bar
    few = flat.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    few.save(buffer, format="png")
    return buffer.getvalue()
