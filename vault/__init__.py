"""The safe: key rings, sealing, index digests and the format of a secret.

Everything secret is handled in this package and nowhere else. It is plain Python on top of `cryptography`: it knows
neither Django nor HTTP nor a database, so that it can be read, tested and audited by itself.
"""
