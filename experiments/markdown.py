"""Markdown tables."""

from collections.abc import Iterable, Sequence


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a table, a line a row, without a newline at its end.

    Args:
        header: A title for each column.
        rows: As many cells as the header has; none may hold a `|`.
    """
    return _lines([header, ["---"] * len(header), *rows])


def aligned_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns the same with padded columns, for those who read it in a terminal."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    padded = [
        [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        for row in (header, *rows)
    ]
    return _lines([padded[0], ["-" * width for width in widths], *padded[1:]])


def _lines(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
