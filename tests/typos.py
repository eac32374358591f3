"""Typing errors: random text with another end, whatever it ended with."""


def with_another_end(text: str) -> str:
    """Return the text with another last character, which a base62 text may have."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")
