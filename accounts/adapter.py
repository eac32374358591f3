"""django-allauth's hooks: its flows, our verbs, our addresses in its links, our vault under its secrets."""

import base64
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from accounts import services
from accounts.audit import record
from accounts.backends import is_whole
from accounts.devices import remember_device
from accounts.emails import normalize_email, refuse_colon
from accounts.guessing import password_guess
from accounts.mail import compose
from accounts.models import User
from accounts.origin import Origin
from accounts.pending import send_after_commit
from accounts.rings import sealing_ring
from accounts.sealed import TamperedRowError
from accounts.sessions import STARTED
from vault.sealing import seal, unseal

MFA_CONTEXT = ("mfa secret",)


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up, log-in, confirmation and password changes go through `accounts.services` and onto the record."""

    def clean_email(self, email: str) -> str:
        """Give the normalized address. Raises `ValidationError` for one that HTTP Basic could not carry."""
        refuse_colon(email)
        return normalize_email(email)

    def new_user(self, request: HttpRequest) -> User:
        """Refuse: accounts are made by `accounts.forms.SignUpForm`, which asks the same of the database every time."""
        raise TypeError("accounts are made by accounts.services")

    def get_login_stages(self) -> list[str]:
        """Return the steps of a log-in, with the portal's own idea of a confirmed address."""
        library = "allauth.account.stages.EmailVerificationStage"
        stages: list[str] = super().get_login_stages()
        return ["accounts.stages.ConfirmationStage" if stage == library else stage for stage in stages]

    def pre_login(self, request: HttpRequest, user: User, **hook: Any) -> HttpResponse | None:
        """Refuse an account that was changed past the portal, whichever way it logs in. Raises `TamperedRowError`."""
        if not (hook["signup"] or is_whole(user)):  # one that was made a moment ago is
            raise TamperedRowError(f"{user.pk} was changed outside the portal")
        response: HttpResponse | None = super().pre_login(request, user, **hook)
        return response

    def set_password(self, user: User, password: str) -> None:
        """Set the password through our verb, which ends signed tokens too."""
        origin = Origin.of_request(self.request, actor=f"user:{user.pk}")
        services.set_password(user=user, password=password, origin=origin)

    def login(self, request: HttpRequest, user: User) -> None:
        """Log in, and note when: the session ends at its absolute lifetime."""
        super().login(request, user)
        request.session[STARTED] = time.time()

    def post_login(self, request: HttpRequest, user: User, **hook: Any) -> HttpResponse:
        """Record the log-in and remember the device."""
        response: HttpResponse = super().post_login(request, user, **hook)
        record("logged_in", subject=f"user:{user.pk}", origin=Origin.of_request(request, actor=f"user:{user.pk}"))
        remember_device(request, response, user.email)
        return response

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Record the failure, for an address that nobody has as well: a stranger can measure the time of writing."""
        email = normalize_email(credentials.get("email") or "")
        user_id = User.objects.filter(email=email).values_list("pk", flat=True).first() or "unknown"
        record("login_failed", subject=f"user:{user_id}", origin=Origin.of_request(request, actor="anonymous"))

    def logout(self, request: HttpRequest) -> None:
        """Record the log-out and end the session."""
        record("logged_out", subject=f"user:{request.user.pk}", origin=Origin.of_request(request))
        super().logout(request)

    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return the user whose password this is. Raises `TooManyAttemptsError` after too many guesses."""
        guess = password_guess(request, normalize_email(credentials.get("email") or ""))
        guess.enforce()
        user: User | None = super().authenticate(request, **credentials)
        if user is not None:
            guess.was_right()
        return user

    def reauthenticate(self, user: User, password: str) -> bool:
        """Return whether this is the user's password; guesses count as at log-in."""
        known = self.authenticate(self.request, email=user.email, password=password)
        return known is not None and known.pk == user.pk

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Tell the user, and the record: allauth sends one notice for each change of an account's security.

        To the address under the user's seal, never to one from allauth's own table, which anybody may have written.
        """
        verb = template_prefix.rsplit("/", maxsplit=1)[-1]
        with transaction.atomic():
            record(verb, subject=f"user:{user.pk}", origin=Origin.of_request(self.request))
            super().send_notification_mail(template_prefix, user, context, user.email)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a message whose links begin with KEYPORTAL_URL, whatever host the request named."""
        base = urlsplit(settings.KEYPORTAL_URL)
        fixed: dict[str, Any] = {
            name: urlunsplit(urlsplit(value)._replace(scheme=base.scheme, netloc=base.netloc))
            for name, value in context.items()
            if name.endswith("_url") and isinstance(value, str)
        }
        what = template_prefix.rsplit("/", maxsplit=1)[-1]
        send_after_commit(compose(template_prefix, email, {**context, **fixed}), what=what)


class SessionsAdapter(DefaultUserSessionsAdapter):
    """“Sign out everywhere else” means apps too, and sessions that the library's table does not know of."""

    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        """End all sessions and tokens of whoever asks, but for the session that asks."""
        super().end_sessions(sessions)
        user = self.request.user
        services.sign_out_everywhere(user=user, origin=Origin.of_request(self.request))
        self.request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()


class MFAAdapter(DefaultMFAAdapter):
    """One-time-code secrets and recovery seeds are sealed: a dump of the database holds none in clear."""

    def encrypt(self, text: str) -> str:
        """Seal a secret."""
        return base64.b64encode(seal(sealing_ring(), text, MFA_CONTEXT)).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Open a sealed secret. Raises `vault.errors.VaultError`."""
        return unseal(sealing_ring(), base64.b64decode(encrypted_text), MFA_CONTEXT)

    def get_totp_issuer(self) -> str:
        """Name the portal in the authenticator app."""
        return "keyportal"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Name the portal to the browser's passkey dialogue; the host is the configured one."""
        host = self.request_host() if settings.KEYPORTAL_LOCAL else urlsplit(settings.KEYPORTAL_URL).hostname
        return {"id": host or "", "name": "keyportal"}

    def request_host(self) -> str:
        """Give the host of this request: in local mode the portal answers as 127.0.0.1 and as localhost."""
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        return entity["id"]
