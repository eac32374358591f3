"""Settings of an installation: where the portal is, the services that it uses, and its secrets."""

from collections.abc import Mapping
from typing import Final

from keyportal.options import addresses
from keyportal.options.hosts import hosts, listeners, portal_address
from keyportal.options.kinds import (
    MAX_LENGTH,
    Kind,
    choice,
    decimal,
    flag,
    list_of,
    mailbox,
    networks,
    path,
    proxies,
    ring,
    text,
    whole,
)
from keyportal.options.option import Option

_DATABASE: Final = Kind("address", "the address of a database", addresses.database, max_length=4096)
_LISTENING: Final = Kind("address", "the address of a PostgreSQL server", addresses.postgresql, max_length=4096)
_MAIL: Final = Kind("address", "the address of a mail server", addresses.mail, max_length=4096)
_REDIS: Final = Kind("address", "the address of a Redis or Valkey server", addresses.redis, max_length=4096)
_RING: Final = "id:base64,id:base64"
_SECRET: Final = text(max_length=4096)

GROUPS: Final[Mapping[str, tuple[Option, ...]]] = {
    "The portal": (
        Option(
            "KEYPORTAL_URL",
            portal_address(),
            None,
            "the public address, in links in messages, as allowed host and token issuer. https, except in local mode",
            example="https://keys.example.com",
            id="E004",
        ),
        Option(
            "KEYPORTAL_HOSTS",
            hosts(),
            "",
            "more host names under which pages are shown, besides that of `KEYPORTAL_URL`; machines can use any",
            example="keys.internal, portal.example.com",
        ),
        Option(
            "KEYPORTAL_LOCAL",
            flag(),
            "false",
            "local mode: plain http on loopback, messages readable at `/outbox/`. Never where others can reach it",
        ),
        Option(
            "KEYPORTAL_TRUSTED_PROXIES",
            proxies(),
            "",
            "networks whose `X-Forwarded-For`, `-Proto` and `X-Request-ID` are trusted, and `unix` for proxies that "
            "connect over a Unix socket (`--bind unix:…`)",
            example="10.0.0.0/8, 2001:db8::1, unix",
            id="E020",
        ),
        Option(
            "KEYPORTAL_PLAIN_HTTP_NETWORKS",
            networks(),
            "",
            "networks from which gateways and services may use plain http although `KEYPORTAL_URL` is https; "
            "loopback and Unix sockets always may, and any network may for health and metrics",
            example="10.1.0.0/16",
            id="E025",
        ),
        Option(
            "KEYPORTAL_LOG_FORMAT",
            choice("json", "text"),
            "",
            "one JSON object per line, or text",
            shown="`json`; `text` in local mode",
        ),
        Option(
            "KEYPORTAL_ENV_FILE", path(), ".env", "the file that is read besides the environment", only_process=True
        ),
        Option(
            "KEYPORTAL_STATIC_ROOT", path(), "var/static", "where the server, or `collectstatic`, puts static files"
        ),
        Option("KEYPORTAL_OUTBOX", path(), "var/outbox", "local mode: where messages are kept"),
    ),
    "Secrets of the server": (
        Option(
            "SECRET_KEY",
            _SECRET,
            None,
            "Django's key for sessions, CSRF and links in messages. At least 50 random characters",
            secret=True,
        ),
        Option(
            "SECRET_KEY_FALLBACKS",
            list_of(_SECRET, "list"),
            "",
            "earlier values of `SECRET_KEY`, while links and sessions made with them are valid",
            secret=True,
        ),
        Option(
            "KEYPORTAL_SEALING_KEYS",
            ring(),
            "",
            "ring that seals secrets and rows: the first key writes, all keys read",
            secret=True,
            example=_RING,
        ),
        Option(
            "KEYPORTAL_INDEX_KEYS",
            ring(),
            "",
            "ring of the index by which secrets are found",
            secret=True,
            example=_RING,
        ),
        Option(
            "KEYPORTAL_SIGNING_KEYS",
            text("JWK Set", max_length=MAX_LENGTH, lines=True),
            "",
            "keys that sign access tokens: a private JWK Set (RFC 7517) or one JWK. The first signs, all verify. "
            "HS256, RS256 (3072 bits), ES256 or EdDSA",
            secret=True,
        ),
    ),
    "Services": (
        Option(
            "DATABASE_URL",
            _DATABASE,
            "sqlite:///var/keyportal.sqlite3",
            "the database; PostgreSQL in production. Options after the `?` override the portal's own defaults",
            secret=True,
            example="postgres://user:password@host/name?sslmode=verify-full",
        ),
        Option(
            "KEYPORTAL_LISTEN_URL",
            _LISTENING,
            "",
            "the same database without a connection pooler, for each worker's one connection that listens for changes",
            secret=True,
            shown="`DATABASE_URL`",
            example="postgres://user:password@host:5432/name",
        ),
        Option("PGOPTIONS", text(max_length=2000), "", "libpq's own variable: `options` if `DATABASE_URL` has none"),
        Option("PGCONNECT_TIMEOUT", whole(0, 3600, "seconds"), "", "likewise, `connect_timeout`", shown="2"),
        Option("PGPASSWORD", _SECRET, "", "likewise, the password", secret=True),
        Option(
            "CACHE_URL",
            _REDIS,
            "",
            "where the workers of all machines share their rate limit counts: `redis://`, `rediss://` "
            "(or `valkey://`, `valkeys://`, `unix://`)",
            secret=True,
            example="rediss://:password@host:6379/0",
            id="E023",
        ),
        Option(
            "EMAIL_URL",
            _MAIL,
            "smtp://localhost:25",
            "the mail server: `smtp://`, `smtp+tls://` (STARTTLS, port 587) or `smtp+ssl://` (port 465). `?timeout=` "
            "sets for how many seconds it may be silent before it accepts messages (5)",
            secret=True,
            example="smtp+tls://user:password@host:587",
        ),
        Option(
            "KEYPORTAL_MAIL_FROM",
            mailbox(),
            "",
            "sender of messages",
            shown="`keyportal@` the portal's host",
            example="Keys <keys@example.com>",
        ),
    ),
    "The server": (
        Option(
            "KEYPORTAL_BIND",
            listeners(),
            "127.0.0.1:8000",
            "where the server listens, unless gunicorn's `--bind` says otherwise; `0.0.0.0` and `[::]` are all "
            "addresses of the machine",
            example="10.1.0.5:8000, unix:/run/keyportal/socket",
        ),
        Option(
            "KEYPORTAL_WORKERS",
            whole(1, 1024),
            "1",
            "server processes. Preferred to gunicorn's `--workers`, which check W020 does not see",
        ),
        Option(
            "KEYPORTAL_TLS_CERTIFICATE",
            path(),
            "",
            "a file. With `KEYPORTAL_TLS_KEY`, the server terminates TLS, and check W021 asks for no trusted proxy",
        ),
        Option("KEYPORTAL_TLS_KEY", path(), "", "the file of its private key, without a password"),
        Option(
            "KEYPORTAL_VERDICT_THREADS",
            whole(1, 64, "threads"),
            "2",
            "per worker, for verdicts that are not in its cache and for monitoring requests",
        ),
        Option(
            "KEYPORTAL_REQUEST_THREADS",
            whole(1, 64, "threads"),
            "4",
            "per worker, for everything else: pages, tokens, the rest of the API",
        ),
        Option(
            "KEYPORTAL_VERDICT_TIMEOUT",
            decimal(0.1, 60, "seconds"),
            "1.25",
            "after which a verdict that still waits for the database gets 503",
        ),
        Option(
            "KEYPORTAL_REQUEST_TIMEOUT",
            decimal(1, 600, "seconds"),
            "8.5",
            "after which any other request that still waits gets 503",
        ),
        Option(
            "KEYPORTAL_METRICS_NETWORKS",
            networks(),
            "",
            "networks that may read `/metrics`; all others get 404",
            example="127.0.0.1, 10.1.0.0/16",
            id="E024",
        ),
        Option(
            "KEYPORTAL_METRICS_DIR",
            path(),
            "var/metrics",
            "where the workers of one machine share their metrics",
        ),
    ),
}
