"""Adapters that connect django-allauth's flows with the portal's services, addresses and vault."""

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
from typing_extensions import override

from accounts import services
from accounts.backends import has_valid_seals
from accounts.devices import known_device, remember_device
from accounts.emails import normalize_email, refuse_colon
from accounts.guessing import password_guess
from accounts.mail import compose
from accounts.models import User
from accounts.new_devices import send_new_device, was_used_before
from accounts.pending import send_after_commit
from accounts.sessions import STARTED
from accounts.signals import signed_out
from audit.event_types import EventType
from audit.origin import Origin
from audit.services import record_event
from integrity.sealed import TamperedRowError
from integrity.sealing import seal_value, unseal_value

MFA_CONTEXT = ("mfa secret",)


class AccountAdapter(DefaultAccountAdapter):
    """The adapter that passes sign-up, log-in and password changes on to `accounts.services`, and records them."""

    @override
    def clean_email(self, email: str) -> str:
        """Return the normalized address. Raises `ValidationError` for a colon, which HTTP Basic can't carry."""
        refuse_colon(email)
        return normalize_email(email)

    @override
    def new_user(self, request: HttpRequest) -> User:
        """Raise TypeError: only `accounts.forms.SignUpForm` creates accounts, with equal queries for every address."""
        raise TypeError("accounts are made by accounts.services")

    @override
    def get_login_stages(self) -> list[str]:
        """Return the stages of a log-in, with the portal's `ConfirmationStage` in place of the library's."""
        library = "allauth.account.stages.EmailVerificationStage"
        stages: list[str] = super().get_login_stages()
        return ["accounts.stages.ConfirmationStage" if stage == library else stage for stage in stages]

    @override
    def pre_login(self, request: HttpRequest, user: User, **hook: Any) -> HttpResponse | None:
        """Refuse an account that was changed outside the portal, however it logs in. Raises `TamperedRowError`."""
        if not (hook["signup"] or has_valid_seals(user)):  # a new account is whole
            raise TamperedRowError(f"{user.pk} was changed outside the portal")
        response: HttpResponse | None = super().pre_login(request, user, **hook)
        return response

    @override
    def set_password(self, user: User, password: str) -> None:
        """Set the password through `accounts.services`, which ends signed tokens too."""
        origin = Origin.of_request(self.request, actor=f"user:{user.pk}")
        services.set_password(user=user, password=password, origin=origin)

    @override
    def login(self, request: HttpRequest, user: User) -> None:
        """Log in, and note the time, from which the session's absolute lifetime counts."""
        super().login(request, user)
        request.session[STARTED] = time.time()

    @override
    def post_login(self, request: HttpRequest, user: User, **hook: Any) -> HttpResponse:
        """Record the log-in, notify the user if the device is new, and set the device's cookie."""
        response: HttpResponse = super().post_login(request, user, **hook)
        origin = Origin.of_request(request, actor=f"user:{user.pk}")
        is_new = known_device(request, user.email) is None
        with transaction.atomic():
            if is_new and was_used_before(user):
                agent = request.META.get("HTTP_USER_AGENT", "")
                send_new_device(user=user, agent=agent, is_program=False, origin=origin)
            record_event(EventType.LOGGED_IN, subject=origin.actor, origin=origin, new_device=is_new)
        remember_device(request, response, user.email)
        return response

    @override
    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Record the failure, also for an address without an account: the time that writing takes can be measured."""
        email = normalize_email(credentials.get("email") or "")
        user_id = User.objects.filter(email=email).values_list("pk", flat=True).first() or "unknown"
        origin = Origin.of_request(request, actor="anonymous")
        record_event(EventType.LOGIN_FAILED, subject=f"user:{user_id}", origin=origin)

    @override
    def logout(self, request: HttpRequest) -> None:
        """Record the log-out and end the session."""
        user, origin = request.user, Origin.of_request(request)
        record_event(EventType.LOGGED_OUT, subject=f"user:{user.pk}", origin=origin)
        signed_out.send(User, user=user, origin=origin)
        super().logout(request)

    @override
    def authenticate(self, request: HttpRequest, **credentials: Any) -> User | None:
        """Return the user if the password is right, else None. Raises `TooManyAttemptsError` after too many guesses."""
        guess = password_guess(request, normalize_email(credentials.get("email") or ""))
        guess.enforce()
        user: User | None = super().authenticate(request, **credentials)
        if user is not None:
            guess.was_right()
        return user

    @override
    def reauthenticate(self, user: User, password: str) -> bool:
        """Return whether this is the user's password. Guesses count as they do at log-in."""
        known = self.authenticate(self.request, email=user.email, password=password)
        return known is not None and known.pk == user.pk

    @override
    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Record the event and notify the user: allauth calls this once for each change of an account's security.

        The message goes to the sealed address of the user, never to one from allauth's own table, which has no seal.
        """
        verb = EventType.of(template_prefix.rsplit("/", maxsplit=1)[-1])
        with transaction.atomic():
            record_event(verb, subject=f"user:{user.pk}", origin=Origin.of_request(self.request))
            super().send_notification_mail(template_prefix, user, context, user.email)

    @override
    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a message whose links begin with KEYPORTAL_URL, whatever the request's Host header was."""
        base = urlsplit(settings.KEYPORTAL_URL)
        fixed: dict[str, Any] = {
            name: urlunsplit(urlsplit(value)._replace(scheme=base.scheme, netloc=base.netloc))
            for name, value in context.items()
            if name.endswith("_url") and isinstance(value, str)
        }
        what = template_prefix.rsplit("/", maxsplit=1)[-1]
        send_after_commit(compose(template_prefix, email, {**context, **fixed}), what=what)


class SessionsAdapter(DefaultUserSessionsAdapter):
    """The adapter that extends “Log out everywhere else” to apps, and to sessions unknown to the library's table."""

    @override
    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        """End all tokens of the current user, and all sessions except the current one."""
        super().end_sessions(sessions)
        user = self.request.user
        services.sign_out_everywhere(user=user, origin=Origin.of_request(self.request))
        self.request.session[HASH_SESSION_KEY] = user.get_session_auth_hash()


class MFAAdapter(DefaultMFAAdapter):
    """The adapter that seals one-time-code secrets and recovery seeds, so that a database dump holds none in clear."""

    @override
    def encrypt(self, text: str) -> str:
        """Return the secret sealed, in base64."""
        return base64.b64encode(seal_value(text, MFA_CONTEXT)).decode()

    @override
    def decrypt(self, encrypted_text: str) -> str:
        """Return the plaintext of a sealed secret. Raises `vault.errors.VaultError`."""
        return unseal_value(base64.b64decode(encrypted_text), MFA_CONTEXT)

    @override
    def get_totp_issuer(self) -> str:
        return "keyportal"

    @override
    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Return the portal's name and host for the browser's passkey dialogue. The host is the configured one."""
        host = self.request_host() if settings.KEYPORTAL_LOCAL else urlsplit(settings.KEYPORTAL_URL).hostname
        return {"id": host or "", "name": "keyportal"}

    def request_host(self) -> str:
        """Return the host of this request: in local mode the portal answers as both 127.0.0.1 and localhost."""
        entity: dict[str, str] = super().get_public_key_credential_rp_entity()
        return entity["id"]
