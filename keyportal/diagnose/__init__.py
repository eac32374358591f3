"""What the portal received of a client's own request, for clients whose calls fail (`/diagnose/`).

Of what was sent, only the address that it came from is shown. Nothing is looked up, so no answer depends on whether a
credential exists, and no limit counts it.

What other pages refuse or redirect is answered here, because it may be the fault: a host that the portal does not
expect, plain http, several Authorization headers or a malformed one. Refused as everywhere, with a sentence that says
why, are requests that can't be read (not HTTP/1.1, too large, without a Host header or with two, a NUL in the address);
methods other than GET and HEAD, which could bring a body; and everything while the database is away, or the key rings
do not fit it.
"""
