"""Requests as the portal's middleware leaves them, for annotations."""

from django.http import HttpRequest

from accounts.models import User


class PortalRequest(HttpRequest):
    """A request with what the middleware adds. `META["REMOTE_ADDR"]` is the resolved address of the client."""

    request_id: str
    peer_address: str


class AuthenticatedRequest(PortalRequest):
    """A request behind `login_required`, whose user is a `User`."""

    user: User
