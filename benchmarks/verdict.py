"""What was asked, next to what was measured."""


def verdict(measured: float, asked: float | None, at_most: bool = False) -> tuple[str, str]:
    """Two cells: what was asked, and whether it was met; empty where nothing was.

    Example:
        >>> verdict(1.7, 1.6), verdict(12.0, 10.0, at_most=True), verdict(1.0, None)
        (('>= 1.6', 'met'), ('<= 10.0', 'missed'), ('', ''))
    """
    if asked is None:
        return "", ""
    met = measured <= asked if at_most else measured >= asked
    return f"{'<=' if at_most else '>='} {asked}", "met" if met else "missed"
