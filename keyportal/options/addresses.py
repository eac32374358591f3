"""URLs of services in settings: database, mail server, Redis.

django-environ parses them, after this module has made sure that it can: an unencoded `/`, `?` or `#` in a password
would end the password there, and the rest would be read as something else. An `@` in the path or the query gives it
away.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

import environ
from psycopg.pq import Conninfo
from redis import ConnectionPool
from redis.exceptions import RedisError

from keyportal.options.kinds import (
    Kind,
    UnsuitableError,
    choice,
    decimal,
    flag,
    path,
    pattern,
    refuse_unprintable,
    text,
    whole,
)

ENCODED: Final = (
    "must be an address in which / ? # @ % [ ] and spaces in a name, a password or a path are percent-encoded "
    "(%2F %3F %23 %40 %25 %5B %5D %20)"
)
NAME_LENGTH: Final = 63  # bytes of PostgreSQL's names
_AGE: Final = Kind(
    "seconds", "none or seconds", lambda given: None if given == "none" else whole(0, 10**6).parse(given)
)
_SSL: Final = "disable", "prefer", "require"
_SQLITE_OPTIONS: Final[Mapping[str, Kind]] = {
    "timeout": decimal(0, 3600, "seconds"),
    "transaction_mode": choice("DEFERRED", "IMMEDIATE", "EXCLUSIVE"),
    "init_command": text(max_length=2000),
}
_SETTINGS_OPTIONS: Final[Mapping[str, Kind]] = {
    "conn_max_age": _AGE,
    "conn_health_checks": flag(),
    "disable_server_side_cursors": flag(),
}
"""Django's own options, for either database."""
_PLACES: Final = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
_AUTH: Final = "(password|md5|gss|sspi|scram-sha-256|oauth|none)"
_TLS: Final = "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"
_SERVER_OPTION: Final = r"(-c\s*|--)[A-Za-z_][A-Za-z0-9_.-]*=(\\.|[^\s\\])*"
_SERVER_OPTIONS: Final = re.compile(rf"\s*{_SERVER_OPTION}(\s+{_SERVER_OPTION})*\s*", re.DOTALL)


def _ip_addresses(given: str) -> str:
    for entry in given.split(","):
        ip_address(entry)
    return given


def _server_options(given: str) -> str:
    if not _SERVER_OPTIONS.fullmatch(given):
        raise ValueError
    return given


_POSTGRESQL_OPTIONS: Final[Mapping[str, Kind]] = {
    **{option.keyword.decode(): text(max_length=2000) for option in Conninfo.get_defaults()},
    **dict.fromkeys(("connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval"), whole(0, 10**6)),
    **dict.fromkeys(("keepalives_count", "tcp_user_timeout"), whole(0, 10**6)),
    "sslmode": choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": choice("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "channel_binding": choice(*_SSL),
    "gssencmode": choice(*_SSL),
    "load_balance_hosts": choice("disable", "random"),
    "require_auth": pattern(rf"!?{_AUTH}(,!?{_AUTH})*", "list", "a list of libpq's methods, such as scram-sha-256"),
    "hostaddr": Kind("addresses", "IP addresses, separated by commas", _ip_addresses, max_length=2000),
    "options": Kind("options", "-c name=value, for each of the server's parameters", _server_options, max_length=2000),
    "sslcertmode": choice("disable", "allow", "require"),
    "sslnegotiation": choice("postgres", "direct"),
    **dict.fromkeys(("ssl_min_protocol_version", "ssl_max_protocol_version"), choice(*_TLS)),
    **dict.fromkeys(("sslcompression", "sslsni", "gssdelegation"), choice("0", "1")),
    "assume_role": text(),
}
"""Options that libpq knows. Values that it would refuse are refused here, because it would quote them."""
_MAIL_PORTS: Final = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
_MAIL_OPTIONS: Final[Mapping[str, Kind]] = {"timeout": whole(1, 300), "ssl_certfile": path(), "ssl_keyfile": path()}
_PORT: Final = "6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5]?[0-9]{1,4}"
_HOST_AND_PORT: Final = re.compile(rf"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::({_PORT}))?")
_BROKEN: Final = re.compile(r"#|%(?![0-9A-Fa-f]{2})")


def database(address: str) -> dict[str, Any]:
    """Return the entry of DATABASES for a URL, without the portal's own defaults."""
    return _sqlite(address) if address.startswith("sqlite:") else postgresql(address)


def postgresql(address: str) -> dict[str, Any]:
    """Return the entry of DATABASES for a PostgreSQL URL."""
    parts = _split(address, "postgres", "postgresql")
    # django-environ reads a + as a blank.
    base = f"{parts.scheme}://{parts.netloc}{parts.path.replace('+', '%2B') or '/'}"
    entry: dict[str, Any] = environ.Env.db_url_config(base)
    if not parts.path.startswith("//"):  # else the folder of a socket comes before the name
        _refuse_unless("/" not in parts.path[1:])
        entry["HOST"], entry["PORT"] = _hosts(parts)
    entry = _with_options(entry, parts.query, _POSTGRESQL_OPTIONS)
    for option, place in _PLACES.items():
        given = entry["OPTIONS"].pop(option, "")
        _refuse_unless(not (given and entry[place]))
        entry[place] = given or entry[place]
    if len(entry["NAME"].encode()) > NAME_LENGTH or not (entry["NAME"] or entry["OPTIONS"].get("service")):
        raise UnsuitableError(f"must end with the name of a database, of at most {NAME_LENGTH} bytes")
    return entry


def as_address(entry: Mapping[str, Any]) -> str:
    """Return the URL of an entry of DATABASES for libpq, with everything in it percent-encoded."""
    options = {name: entry[place] for name, place in _PLACES.items() if entry[place]} | entry["OPTIONS"]
    options.pop("assume_role", None)  # Django's own option
    return f"postgresql://?{urlencode(options, quote_via=quote)}"


def mail(address: str) -> dict[str, Any]:
    """Return the settings for the URL of an SMTP server."""
    parts = _split(address, *_MAIL_PORTS)
    _refuse_unless(bool(parts.hostname) and parts.path in ("", "/") and _HOST_AND_PORT.fullmatch(_host(parts)))
    config = environ.Env.email_url_config(parts._replace(query="").geturl())
    options = _options(parts.query, _MAIL_OPTIONS)
    return {
        "EMAIL_BACKEND": config["EMAIL_BACKEND"],
        "EMAIL_HOST": config["EMAIL_HOST"],
        "EMAIL_PORT": config["EMAIL_PORT"] or _MAIL_PORTS[parts.scheme],
        "EMAIL_HOST_USER": config["EMAIL_HOST_USER"] or "",
        "EMAIL_HOST_PASSWORD": config["EMAIL_HOST_PASSWORD"] or "",
        "EMAIL_USE_TLS": config.get("EMAIL_USE_TLS", False),
        "EMAIL_USE_SSL": config.get("EMAIL_USE_SSL", False),
        **{f"EMAIL_{name.upper()}": value for name, value in options.items()},
    }


def redis(address: str) -> str:
    """Return the URL of a Redis or Valkey, if the client accepts it."""
    parts = _split(address, "redis", "rediss", "valkey", "valkeys", "unix")
    if parts.scheme == "unix":
        _refuse_unless(not parts.netloc.rpartition("@")[2] and parts.path.strip("/"))
    else:
        _refuse_unless(bool(parts.hostname) and re.fullmatch(r"(/[0-9]{0,4})?", parts.path))
        _refuse_unless(_HOST_AND_PORT.fullmatch(_host(parts)))
    if not _suits_redis(address, parts):
        raise UnsuitableError("must be an address with options that the Redis client accepts")
    return address


def _suits_redis(address: str, parts: SplitResult) -> bool:
    """Return whether the client accepts every option. It ignores those without a value, and quotes those it refuses."""
    rest_of_address = address.removeprefix(parts.scheme)
    try:
        given = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        pool = ConnectionPool.from_url(parts.scheme.replace("valkey", "redis") + rest_of_address)
        pool.connection_class(**pool.connection_kwargs)  # created, not connected
    except (ValueError, TypeError, RedisError):
        return False
    return all(value for _, value in given)


def _split(address: str, *schemes: str) -> SplitResult:
    """Return the parts of a URL. Raises `UnsuitableError` unless each is where its author meant it to be."""
    if not address.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise UnsuitableError(f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    _refuse_unless(not _BROKEN.search(address) and not any(map(str.isspace, address)))
    try:
        parts = urlsplit(address)
        refuse_unprintable(unquote(address, errors="strict"))
    except UnsuitableError:
        raise
    except ValueError:
        parts = SplitResult("", "", "@", "", "")  # replaces urlsplit's error, which quotes what it was given
    _refuse_unless("@" not in parts.path + parts.query)
    return parts


def _refuse_unless(well_formed: object) -> None:
    if not well_formed:
        raise UnsuitableError(ENCODED)


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _sqlite(address: str) -> dict[str, Any]:
    place, _, query = address.removeprefix("sqlite:///").partition("?")
    if not address.startswith("sqlite:///") or place in ("", ":memory:") or place.endswith("/"):
        raise UnsuitableError(
            "must name a file: sqlite:///beside-manage.py.sqlite3 or sqlite:////srv/elsewhere.sqlite3"
        )
    _refuse_unless(not _BROKEN.search(address))
    unquote(place, errors="strict")
    entry = environ.Env.db_url_config("sqlite:///" + place.replace("+", "%2B"))
    return _with_options(entry | {"NAME": path().parse(entry["NAME"])}, query, _SQLITE_OPTIONS)


def _hosts(parts: SplitResult) -> tuple[str, str]:
    """Return the hosts and the ports, as libpq lists several of them."""
    found = [_HOST_AND_PORT.fullmatch(entry) for entry in _host(parts).split(",")]
    _refuse_unless(all(found))
    ports = [match[2] or "" for match in found if match]
    hosts = ",".join(unquote(match[1]).strip("[]") for match in found if match)
    return hosts, ",".join(port or "5432" for port in ports) if any(ports) else ""


def _with_options(entry: dict[str, Any], query: str, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    options = _options(query, {**kinds, **_SETTINGS_OPTIONS})
    own = {name.upper(): options.pop(name) for name in _SETTINGS_OPTIONS if name in options}
    return {**entry, **own, "OPTIONS": options}


def _options(query: str, kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """Return the options after the question mark. Raises `UnsuitableError` for an unknown one."""
    options: dict[str, Any] = {}
    for field in filter(None, query.split("&")):
        name, _, value = field.partition("=")
        if name not in kinds or name in options:
            raise UnsuitableError("must have known options only after its ? (write any other ? as %3F)")
        # A + is a plus, except in libpq's options=, where operators mean a blank.
        value = unquote(value.replace("+", " ") if name == "options" else value)
        try:
            options[name] = kinds[name].parse(value)
        except UnsuitableError as error:
            raise UnsuitableError(f"has a {name} after its ? that {error}") from None
    return options
