"""django-allauth's hooks: its flows, our verbs, our addresses in its links, our vault under its secrets."""

import base64
import logging
import time
from collections.abc import Iterable
from smtplib import SMTPException
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from accounts import services
from accounts.audit import record
from accounts.devices import known_device, remember_device
from accounts.emails import normalize_email, refuse_colon
from accounts.models import User
from accounts.origin import Origin
from accounts.rings import sealing_ring
from accounts.sessions import STARTED
from vault.sealing import seal, unseal

logger = logging.getLogger(__name__)

MFA_CONTEXT = ("mfa secret",)


class AccountAdapter(DefaultAccountAdapter):
    """Sign-up, log-in, confirmation and password changes go through `accounts.services` and onto the record."""

    def clean_email(self, email: str) -> str:
        """Give the normalized address. Raises `ValidationError` for one that HTTP Basic could not carry."""
        refuse_colon(email)
        return normalize_email(email)

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        """Insert the new user. If another request took the address a moment ago, answer as if all were well."""
        user = super().save_user(request, user, form, commit=False)
        if not commit:
            return user
        try:
            return services.sign_up(user=user, origin=Origin.of_request(request))
        except IntegrityError as taken:
            raise ImmediateHttpResponse(self.respond_email_verification_sent(request, None)) from taken

    @transaction.atomic
    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Mark the address as confirmed, in allauth's table and in ours."""
        if not super().confirm_email(request, email_address):
            return False
        user = User.objects.get(pk=email_address.user_id)
        services.confirm_user(user=user, origin=Origin.of_request(request, actor=f"user:{user.pk}"))
        return True

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
        """Record the failure against the account, if there is one; an unknown address is only logged by its absence."""
        user = User.objects.filter(email=normalize_email(credentials.get("email") or "")).first()
        if user is not None:
            record("login_failed", subject=f"user:{user.pk}", origin=Origin.of_request(request, actor="anonymous"))

    def logout(self, request: HttpRequest) -> None:
        """Record the log-out and end the session."""
        record("logged_out", subject=f"user:{request.user.pk}", origin=Origin.of_request(request))
        super().logout(request)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # A bucket of its own for a device that the owner has used before: see accounts.devices.
        email = normalize_email(credentials.get("email") or "")
        return f"{email}:{known_device(request, email) or 'unknown device'}"

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Tell the user, and the record: allauth sends one notice for each change of an account's security."""
        verb = template_prefix.rsplit("/", maxsplit=1)[-1]
        record(verb, subject=f"user:{user.pk}", origin=Origin.of_request(self.request))
        super().send_notification_mail(template_prefix, user, context, email)

    def render_mail(
        self, template_prefix: str, email: str, context: dict[str, Any], headers: dict[str, str] | None = None
    ) -> EmailMessage:
        """Render a message; beside the text stands the same as HTML, with its links."""
        message: EmailMessage = super().render_mail(template_prefix, email, context, headers)
        if isinstance(message, EmailMultiAlternatives):
            page = render_to_string("account/email/page.html", {"text": message.body, "subject": message.subject})
            message.attach_alternative(page, "text/html")
        return message

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send a message whose links begin with KEYPORTAL_URL, whatever host the request named."""
        base = urlsplit(settings.KEYPORTAL_URL)
        fixed: dict[str, Any] = {
            name: urlunsplit(urlsplit(value)._replace(scheme=base.scheme, netloc=base.netloc))
            for name, value in context.items()
            if name.endswith("_url") and isinstance(value, str)
        }
        fixed["current_site"] = SimpleNamespace(name="keyportal", domain=base.netloc)
        try:
            super().send_mail(template_prefix, email, context | fixed)
        except (OSError, SMTPException):
            # The page says the same as if it had been sent: whoever waits for a message asks for it again, and a
            # different answer would tell strangers which addresses have an account.
            logger.exception("mail_unsent: %s", template_prefix)


class SessionsAdapter(DefaultUserSessionsAdapter):
    """“Sign out everywhere else” means apps too: it also ends every signed token."""

    def end_sessions(self, sessions: Iterable[UserSession]) -> None:
        """End the sessions and all tokens of whoever asks."""
        super().end_sessions(sessions)
        services.end_all_tokens(user=self.request.user, origin=Origin.of_request(self.request))


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
