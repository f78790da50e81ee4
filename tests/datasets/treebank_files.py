"""Files of a treebank's form, of made-up sentences whose annotation follows from the words."""

import gzip
import lzma

OPENERS = {"": open, ".xz": lzma.open, ".gz": gzip.open}
PARTS = ("train", "dev", "test")
LEXICON = {
    "she": ("PRON", "PRP", "Case=Nom|Gender=Fem|Number=Sing|Person=3|PronType=Prs", "nsubj:outer"),
    "dogs": ("NOUN", "NNS", "Number=Plur", "nsubj"),
    "ran": ("VERB", "VBD", "Tense=Past|Typo=Yes|VerbForm=Fin", "root"),
    "東京": ("PROPN", "NNP", "_", "obj"),
    "!": ("PUNCT", ".", "_", "punct"),
}
SENTENCES = (("she", "ran", "!"), ("dogs", "ran"), ("she", "ran", "東京", "!"))


def word_line(index, form):
    upos, xpos, feats, deprel = LEXICON[form]
    cells = (str(index), form, form, upos, xpos, feats, "0", deprel, "_", "_")
    return "\t".join(cells) + "\n"


def sentence(forms):
    return "# text\n" + "".join(word_line(*each) for each in enumerate(forms, start=1)) + "\n"


def write_files(folder, suffix="", language="en_ewt", texts=None, repeats=20):
    """Every file holds every sentence `repeats` times, unless `texts` says what it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = "".join(map(sentence, SENTENCES * repeats))
    for part in PARTS:
        text = (texts or {}).get(part, plain)
        with OPENERS[suffix](folder / f"{language}-ud-{part}.conllu{suffix}", "wb") as file:
            file.write(text.encode())
    return folder
