"""A small, conservative rule for where sentences end, so that lines become segments.

Sentence-order prediction needs several segments a document. A missed border only makes a longer
segment; a wrong one cuts a sentence, so in doubt the rule does not cut.
"""

import re

# Titles and the like, before which a name or a number follows more often than a new sentence.
_ABBREVIATIONS = frozenset(
    "mr mrs ms messrs mme mlle dr prof st ste mt ft rev hon gen col capt cdr lt sgt maj adm gov sen"
    " rep pres sr jr vs cf viz no nos vol vols fig figs p pp art sec ch chap ed eds al approx"
    " jan feb mar apr jun jul aug sept sep oct nov dec".split()
)
_END = re.compile(
    # . ! ? … and closing marks, white space, then opening marks and a letter (looked at below).
    r"""[.!?…؟۔।]+["'”’)\]»]*\s+(?=["'“‘(\[«¿¡]*([^\W\d_]))"""
    # Scripts without spaces: the mark alone ends the sentence.
    r"""|[。！？]+["'”’」』）】]*\s*"""
)
_LAST_WORD = re.compile(r"[\w.]+$")


def split_sentences(line: str) -> list[str]:
    """The sentences of a line, each with its marks, without the white space between them.

    A sentence ends at . ! ? … (also ؟ ۔ ।) with closing quotes and brackets, when white space and
    an upper-case letter, or one without case, follow, opening marks allowed; and at 。！？ always.
    Not at the full stop of an initial ("J. Smith"), of an abbreviation with inner stops ("e.g.",
    "U.S.") or of a common title ("Mr.", "Dr.", "No.").
    """
    sentences, start = [], 0
    for match in _END.finditer(line):
        letter = match.group(1)
        if letter is not None and (letter.islower() or _is_abbreviated(line, start, match)):
            continue
        sentences.append(line[start : match.end()].rstrip())
        start = match.end()
    if start < len(line):
        sentences.append(line[start:])
    return sentences


def _is_abbreviated(line: str, start: int, match: re.Match[str]) -> bool:
    mark = match.group().rstrip()
    if mark != ".":
        return False
    # 32 characters reach over any abbreviation and keep the look-back cheap.
    word = _LAST_WORD.search(line, max(start, match.start() - 32), match.start())
    if word is None:
        return False
    text = word.group()
    return "." in text or (len(text) == 1 and text.isupper()) or text.lower() in _ABBREVIATIONS
