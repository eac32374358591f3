"""An authenticator app: the codes that it shows, computed here."""

import base64
import hmac
import struct
import time


def code_of(secret: str) -> str:
    """Return the current code (RFC 6238 with its defaults)."""
    counter = struct.pack(">Q", int(time.time()) // 30)
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    place = digest[-1] & 15
    return str(struct.unpack(">I", digest[place : place + 4])[0] & 0x7FFFFFFF)[-6:]
