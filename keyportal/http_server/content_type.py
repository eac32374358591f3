"""Rewrite Content-Type so that Django neither fails on it nor decodes with an unusual codec.

Django decodes query and form with whatever Python codec the charset names (including `zlib` and `rot13`), and a
parameter written `name*=` (RFC 2231) makes it fail before any middleware. So the header is rebuilt: media type,
boundary, and for forms a charset from a list. JSON is UTF-8 (RFC 8259 §8.1), and without a body there is nothing to
decode.
"""

import re
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, urlencode

from keyportal.http_server.request import UnreadableError

_PARAMETER: Final = re.compile(r""";\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)""")
_MEDIA: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]{1,64}/[!#$%&'*+.^_`|~0-9a-z-]{1,64}")
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}")
"""RFC 2046 §5.1.1, without characters that Django could read as another parameter."""
CHARSETS: Final = {
    name: codec
    for codec, names in {
        "utf-8": ("utf-8", "utf8", "unicode-1-1-utf-8"),
        "ascii": ("us-ascii", "ascii"),
        "iso-8859-1": ("iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "latin-1", "l1"),
        "windows-1252": ("windows-1252", "cp1252", "x-cp1252"),
    }.items()
    for name in names
}
"""Harmless codecs by the labels that clients write (https://encoding.spec.whatwg.org/#names-and-labels)."""
FORM: Final = "application/x-www-form-urlencoded"
MAX_RECODED: Final = 8 * 1024
"""Bytes of a form that the event loop re-encodes as UTF-8, the only encoding that Django accepts."""
MAX_FIELDS: Final = 1000
"""The number of fields that Django accepts."""


def readable(content_type: str, body: bytes) -> tuple[str, bytes]:
    """Return Content-Type and body as Django may read them. Raises `UnreadableError` for a bad boundary or charset."""
    media = content_type.partition(";")[0].strip().lower()
    media = media if _MEDIA.fullmatch(media) else ""
    parameters = [(name.lower(), value.strip().strip('"')) for name, value in _PARAMETER.findall(content_type)]
    boundaries = {value for name, value in parameters if name == "boundary"}
    if len(boundaries) > 1 or not all(map(_BOUNDARY.fullmatch, boundaries)):
        raise UnreadableError(HTTPStatus.BAD_REQUEST, "The Content-Type header has an invalid boundary.")
    rebuilt = "; ".join([media, *(f'boundary="{value}"' for value in boundaries)])
    charsets = {CHARSETS.get(value.lower()) for name, value in parameters if name == "charset" and body}
    if None in charsets or len(charsets) > 1 or (charsets - {"utf-8"} and len(body) > MAX_RECODED):
        detail = "The Content-Type header names an unsupported charset. Use UTF-8."
        raise UnreadableError(HTTPStatus.BAD_REQUEST, detail)
    codec = next(iter(charsets), None) or "utf-8"
    if media == FORM and codec != "utf-8":
        text = body.decode(codec, "replace")
        if text.count("&") >= MAX_FIELDS:
            raise UnreadableError(HTTPStatus.BAD_REQUEST, "The form has too many fields.")
        return rebuilt, urlencode(parse_qsl(text, keep_blank_values=True, encoding=codec)).encode()
    return f"{rebuilt}; charset={codec}" if media == "multipart/form-data" else rebuilt, body
