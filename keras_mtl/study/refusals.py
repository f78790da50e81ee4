"""Errors of a study file: a sentence that begins with the file."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class StudyError(ValueError):
    """What is wrong with a study, in a sentence that names its file."""


@contextmanager
def refusals_of(file: str, section: str | None = None) -> Iterator[None]:
    """Inside, what refuses a study raises `StudyError` with one line that begins with the file.

    Args:
        file: what the sentence calls the file.
        section: what is made from the file inside, where Keras or a class of the user's may refuse
            it in words of its own; None passes on errors that are none of ours.

    Example:
        >>> with refusals_of("ple.toml"):
        ...     raise ValueError("Key `seeds` must be a list. Received: seeds=3")
        Traceback (most recent call last):
        keras_mtl.study.refusals.StudyError: ple.toml: Key `seeds` must be a list. Received: seeds=3
    """
    try:
        yield
    except StudyError:
        raise
    except RecursionError as error:
        raise StudyError(
            f"{file}: A study file must not nest tables and lists so deep. Received: {error}"
        ) from error
    except ValueError as error:
        foreign = section is not None and "Received:" not in str(error)
        raise StudyError(f"{file}: {_made(section, error) if foreign else error}") from error
    except (AttributeError, LookupError, OverflowError, TypeError) as error:
        if section is None:
            raise
        raise StudyError(f"{file}: {_made(section, error)}") from error


def told(files: Sequence[Path]) -> str:
    """A study file and those it lies over, in words.

    Example:
        >>> told([Path("ple.toml"), Path("common.toml")])
        'ple.toml (over common.toml)'
    """
    first, *below = map(str, files)
    return f"{first} (over {', '.join(below)})" if below else first


def _made(section: str | None, error: Exception) -> str:
    """The sentence for an error in words of others, with the line of the code that raised it."""
    *_, last = traceback.extract_tb(error.__traceback__)
    said = " ".join(str(error).split())
    return (
        f"{section} must be what can be made. Received: {type(error).__name__}: {said} "
        f"({Path(last.filename).name}, line {last.lineno})"
    )
