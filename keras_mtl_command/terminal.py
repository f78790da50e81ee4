"""Text for a terminal, from files that may be anybody's."""


def one_line(text: str) -> str:
    r"""Text with what a terminal would obey, such as a line's end or a colour, written out.

    Example:
        >>> print(one_line("two\nlines"))
        two\nlines
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
