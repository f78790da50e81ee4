"""Names that stand in paths and tables: of studies, data sections, models and run folders."""

import hashlib
import re

LABEL = "label of letters, digits, `_`, `.` and `-`, at most 100 and the first none of `.` and `-`"
_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
# A file's name has at most 255 bytes, and `.partial` comes after it.
_LONGEST = 200


def is_label(name: object) -> bool:
    """Whether a name can be a folder's, and no formula of a spreadsheet.

    Example:
        >>> is_label("census_income"), is_label(".."), is_label("=HYPERLINK(1)")
        (True, False, False)
    """
    return isinstance(name, str) and _LABEL.fullmatch(name) is not None


def shown(name: str) -> str:
    """A name as sentences show it: in quotes where it is no label."""
    return name if is_label(name) else repr(name)


def label_of(name: str) -> str:
    """The label nearest to the name of a file or a folder, whose letters may be of any alphabet.

    Example:
        >>> label_of("my study"), label_of("..")
        ('my-study', 'study')
    """
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:100] or "study"


def folder_of(words: str) -> str:
    """The name of a folder for words of tables, such as a model, its data and the seed.

    A minus sign is told apart from a hyphen. What ASCII cannot say, or a file's name cannot hold,
    is told apart by a digest.

    Example:
        >>> folder_of("ple levels=1 toy seed 0"), folder_of("toy correlation=-0.5")
        ('ple-levels-1-toy-seed-0', 'toy-correlation-minus0.5')
    """
    signed = re.sub(r"(?<=[=-])-(?=[0-9.])", "minus", words)
    name = re.sub(r"[^A-Za-z0-9.]+", "-", signed)
    if words.isascii() and len(name) <= _LONGEST:
        return name
    digest = hashlib.sha256(words.encode(errors="surrogatepass")).hexdigest()[:12]
    return f"{name[:_LONGEST]}-{digest}"
