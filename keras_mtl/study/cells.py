"""Cells of spreadsheets and of Markdown: names stand there as text, whatever they hold."""

import re

from keras_mtl_command.terminal import one_line

# What a spreadsheet reads as the beginning of a formula, in the widths that East Asian ones know.
_BEGINS = r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_FORMULA = re.compile(f"'*{_BEGINS}")
_QUOTED = re.compile(f"'+{_BEGINS}")
_NUMBER = re.compile(
    r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?(nan|inf)", re.IGNORECASE
)
# What begins or ends markup within a line: a table's cell, code, emphasis, HTML, entities, math.
_MARKUP = re.compile(r"[\\`|*<>~$&]|\](?=[(\[])|(?<!\w)_|_(?!\w)")


def quoted_cell(text: str) -> str:
    """A cell of a CSV file, with a quote before what a spreadsheet would compute.

    Example:
        >>> quoted_cell("=HYPERLINK(1)"), quoted_cell("-0.5"), quoted_cell("ple levels=1")
        ("'=HYPERLINK(1)", '-0.5', 'ple levels=1')
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unquoted_cell(text: str) -> str:
    """What `quoted_cell` was given.

    Example:
        >>> unquoted_cell("'=HYPERLINK(1)"), unquoted_cell("'tis")
        ('=HYPERLINK(1)', "'tis")
    """
    return text[1:] if _QUOTED.match(text) else text


def markdown_text(text: str) -> str:
    r"""Text of one line of Markdown in which nothing is markup.

    Example:
        >>> print(markdown_text("a|b <script> single_task [-0.1, +0.1]"))
        a\|b \<script\> single_task [-0.1, +0.1]
    """
    return _MARKUP.sub(lambda mark: f"\\{mark[0]}", one_line(text))


def markdown_code(text: str) -> str:
    """Text of one line of Markdown as code.

    Example:
        >>> print(markdown_code("val_mean"))
        `val_mean`
    """
    return f"`{one_line(text).replace('`', chr(39))}`"


def plot_text(text: str) -> str:
    r"""Text of a picture in which matplotlib sees no formula.

    Example:
        >>> print(plot_text("$x$"))
        \$x\$
    """
    return one_line(text).replace("$", r"\$")
