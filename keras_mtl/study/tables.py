"""Tables in plain text and in Markdown."""

from collections.abc import Sequence

from keras_mtl.study.cells import markdown_text
from keras_mtl_command.terminal import one_line


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned with spaces; numbers to the right, words to the left.

    Example:
        >>> print(text_table(["task", "auc"], [["income", "0.95"], ["x", "0.9"]]))
        task     auc
        ------------
        income  0.95
        x        0.9
    """
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]
    right = [_holds_numbers([row[i] for row in rows]) for i in range(len(header))]
    lines = [_aligned(line, widths, right) for line in [header, *rows]]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as a Markdown table, in which no cell is markup.

    Example:
        >>> print(markdown_table(["task", "auc"], [["income", "0.95"]]))
        | task | auc |
        |---|---:|
        | income | 0.95 |
    """
    right = [_holds_numbers([row[i] for row in rows]) for i in range(len(header))]
    rule = "|" + "|".join("---:" if numbers else "---" for numbers in right) + "|"
    lines = ["| " + " | ".join(map(markdown_text, line)) + " |" for line in [header, *rows]]
    return "\n".join([lines[0], rule, *lines[1:]])


def number(value: float, digits: int = 4) -> str:
    """A figure with fixed digits; a dash where there is none.

    Example:
        >>> number(0.95), number(float("nan"))
        ('0.9500', '-')
    """
    return "-" if value != value else f"{value:.{digits}f}"


def signed(value: float, digits: int = 4) -> str:
    """A difference, with its sign always shown; a dash where there is none.

    What rounds to nothing is no loss: it has no minus.

    Example:
        >>> signed(0.01), signed(-0.00001)
        ('+0.0100', '+0.0000')
    """
    return "-" if value != value else f"{round(value, digits) + 0.0:+.{digits}f}"


def rounds_to_nothing(value: float, digits: int = 4) -> bool:
    """Whether a difference is shown as zero.

    Example:
        >>> rounds_to_nothing(-0.00001), rounds_to_nothing(0.0001)
        (True, False)
    """
    return round(value, digits) == 0


def _aligned(line: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = [
        cell.rjust(width) if numbers else cell.ljust(width)
        for cell, width, numbers in zip(line, widths, right, strict=True)
    ]
    return "  ".join(cells).rstrip()


def _holds_numbers(cells: Sequence[str]) -> bool:
    return bool(cells) and all(cell[:1] in "+-.0123456789" for cell in cells)
