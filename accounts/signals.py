"""What the rooms above may act on, sent with `user` and `origin`."""

from typing import Final

from django.dispatch import Signal

signed_out: Final = Signal()
"""One browser of a user was signed out, by the user or from another one."""
