"""Just enough SVG for the pictures: boxes, lines, arrows and text, in the colours of the page.

Nothing is loaded from elsewhere: fonts and the colour of text are those of the page around it, so
a picture fits a light and a dark page alike.
"""

from html import escape

COLOURS = ("#4c6ef5", "#0ca678", "#f08c00", "#e64980", "#7048e8", "#1098ad", "#74b816", "#e03131")
"""Told apart on light and on dark ground."""


class Drawing:
    """`width` pixels wide at most; it grows downwards with what is drawn."""

    def __init__(self, width: float, title: str) -> None:
        self._width = width
        self._height = 0.0
        self._title = title
        self._parts: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        colour: str = "currentColor",
        size: int = 12,
        bold: bool = False,
    ) -> None:
        """`y` is the line that the letters stand on."""
        weight = ' font-weight="bold"' if bold else ""
        self._add(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"'
            f' text-anchor="{anchor}"{weight}>{escape(words)}</text>',
            y + 4,
        )

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        *,
        colour: str = "currentColor",
        dashed: bool = False,
        faint: bool = False,
    ) -> None:
        """From one point to another."""
        extra = ' stroke-dasharray="3 3"' if dashed else ""
        extra += ' stroke-opacity="0.3"' if faint else ""
        self._add(
            f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"'
            f' stroke="{colour}" stroke-width="1.2"{extra}/>',
            max(start[1], end[1]),
        )

    def arrow(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        """A line with a head at its end."""
        self.line(start, end, colour=colour)
        (x, y), (dx, dy) = end, (end[0] - start[0], end[1] - start[1])
        length = (dx * dx + dy * dy) ** 0.5 or 1.0
        dx, dy = dx / length, dy / length
        left = (x - 7 * dx - 3 * dy, y - 7 * dy + 3 * dx)
        right = (x - 7 * dx + 3 * dy, y - 7 * dy - 3 * dx)
        points = " ".join(f"{px:.1f},{py:.1f}" for px, py in (end, left, right))
        self._add(f'<polygon points="{points}" fill="{colour}"/>', y)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A frame with a faint ground."""
        self._add(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4"'
            f' fill="{colour}" fill-opacity="0.12" stroke="{colour}"/>',
            y + height,
        )

    def dot(self, x: float, y: float, colour: str) -> None:
        """A mark in a table."""
        self._add(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" fill="{colour}"/>', y + 5)

    def render(self) -> str:
        """One element without empty lines, as Markdown wants it."""
        height = self._height + 8
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width:.0f} {height:.0f}"'
            f' style="width: 100%; max-width: {self._width:.0f}px" font-family="inherit"'
            f' role="img" aria-label="{escape(self._title)}">'
        )
        return "\n".join([head, f"<title>{escape(self._title)}</title>", *self._parts, "</svg>"])

    def _add(self, part: str, bottom: float) -> None:
        self._parts.append(part)
        self._height = max(self._height, bottom)
