"""What the annotation of Universal Dependencies, version 2, is made of, and how it is coarsened."""

from functools import cache

UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)

RELATIONS = (
    *("acl", "advcl", "advmod", "amod", "appos", "aux", "case", "cc", "ccomp", "clf", "compound"),
    *("conj", "cop", "csubj", "dep", "det", "discourse", "dislocated", "expl", "fixed", "flat"),
    *("goeswith", "iobj", "list", "mark", "nmod", "nsubj", "nummod", "obj", "obl", "orphan"),
    *("parataxis", "punct", "reparandum", "root", "vocative", "xcomp"),
)

# Inflection that a word shows: not what its lexeme has (PronType, NumType, Gender of pronouns) and
# not what concerns its spelling or its use (Typo, Abbr, Style, Foreign, ExtPos).
INFLECTION = ("Case", "Degree", "Mood", "Number", "Person", "Tense", "VerbForm", "Voice")


@cache
def relation(deprel: str) -> str:
    """The universal relation, without a language's subtype: nsubj of nsubj:pass."""
    return deprel.partition(":")[0]


@cache
def inflection(feats: str) -> str:
    """The attributes of `INFLECTION` in FEATS, or "_" where there are none."""
    kept = [pair for pair in feats.split("|") if pair.partition("=")[0] in INFLECTION]
    return "|".join(kept) or "_"
