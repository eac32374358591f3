"""Key rings, sealing, index digests, row seals, signed tokens and the format of a secret.

All cryptography on secrets happens in this package. It is plain Python on top of `cryptography` and PyJWT, and knows
neither Django nor HTTP nor a database, so that it can be read, tested and audited by itself.
"""
