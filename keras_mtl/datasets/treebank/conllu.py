"""Files in CoNLL-U, plain or compressed, read into lists of words."""

import gzip
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keras_mtl.datasets.treebank.annotation import RELATIONS, UPOS, relation

OPENERS: dict[str, Callable[[Path], Any]] = {".xz": lzma.open, ".gz": gzip.open}
# ID FORM LEMMA UPOS XPOS FEATS HEAD DEPREL DEPS MISC
NUM_COLUMNS = 10


@dataclass
class Words:
    """The syntactic words of a file one after another, and how many each sentence has."""

    forms: list[str] = field(default_factory=list)
    upos: list[str] = field(default_factory=list)
    xpos: list[str] = field(default_factory=list)
    feats: list[str] = field(default_factory=list)
    deprel: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)


def read_words(path: Path) -> Words:
    """Every word of every sentence, without multi-word tokens (3-4) and empty nodes (3.1).

    Raises:
        ValueError: If a line does not have 10 values, a word is not the next of its sentence or
            its annotation is not one of UD version 2, with the line; if the file is cut short.
    """
    words, length = Words(), 0
    for number, line in enumerate(_read_lines(path), start=1):
        if not line:
            if length:
                words.lengths.append(length)
            length = 0
        elif not line.startswith("#"):
            cells = line.split("\t")
            if len(cells) != NUM_COLUMNS or "" in cells:
                raise _wrong(path, number, f"{NUM_COLUMNS} values, none empty,", repr(line))
            if "-" in cells[0] or "." in cells[0]:
                continue
            length += 1
            if cells[0] != str(length):
                raise _wrong(path, number, f"the ID {length}", repr(cells[0]))
            _append(words, cells, path, number)
    return words


def _append(words: Words, cells: list[str], path: Path, number: int) -> None:
    _, form, _, upos, xpos, feats, _, deprel, _, _ = cells
    if upos not in UPOS:
        raise _wrong(path, number, "a UPOS of UD version 2", repr(upos))
    deprel = relation(deprel)
    if deprel not in RELATIONS:
        raise _wrong(path, number, "a DEPREL of UD version 2", repr(deprel))
    words.forms.append(form)
    words.upos.append(upos)
    words.xpos.append(xpos)
    words.feats.append(feats)
    words.deprel.append(deprel)


def _wrong(path: Path, number: int, expected: str, received: str) -> ValueError:
    return ValueError(
        f"File `{path.name}` must hold {expected} in line {number}. Received: {received}"
    )


def _read_lines(path: Path) -> list[str]:
    try:
        with OPENERS.get(path.suffix, Path.open)(path, "rb") as file:
            data: bytes = file.read()
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        raise ValueError(
            f"File `{path}` must be the publisher's, whole, and plain or compressed as its name "
            f"says. Received: {error}"
        ) from error
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise _wrong(path, number, "text in UTF-8", str(error)) from error
    if not text.endswith("\n\n"):
        raise ValueError(
            f"File `{path}` must end in an empty line, as does every sentence: it seems cut short. "
            f"Received: {text[-40:]!r} at its end"
        )
    return text.split("\n")
