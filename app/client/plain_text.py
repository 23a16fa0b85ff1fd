"""Text from elsewhere, made fit for a terminal."""

import unicodedata

_LINE_ENDS = ("Zl", "Zp")


def clean(text: str) -> str:
    """Text without characters that steer a terminal, end its line, hide, or reverse what stands beside them.

    Those are all of Unicode's category C (controls, bidi and other formats, surrogates, private and unassigned ones)
    and its two separators of lines and paragraphs; each becomes U+FFFD.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join("\N{REPLACEMENT CHARACTER}" if steers(character) else character for character in text)


def steers(character: str) -> bool:
    """True for a character that `clean` replaces."""
    category = unicodedata.category(character)
    return category[0] == "C" or category in _LINE_ENDS
