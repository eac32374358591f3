"""Redis or Valkey, where the workers of all hosts count together."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from redis import Redis
from redis.exceptions import RedisError

from keyportal.doctor.findings import Finding, problem, warning
from keyportal.doctor.nearness import is_on_this_host
from keyportal.errors.redacted_errors import in_short

STEP_TIMEOUT: Final = 2.0  # seconds
OLDEST: Final = 6

AWAY = problem(
    "redis_away",
    meaning="Each worker counts rate limits for itself, so a key gets its limit several times.",
    advice="Check CACHE_URL and the server. Nothing is refused because of it, and it recovers by itself.",
)
EVICTS = warning(
    "redis_evicts",
    meaning="When its memory is full it forgets counts, and keys get more than their limit.",
    advice="Set `maxmemory-policy noeviction`, or give the portal a server of its own. Counts expire by themselves.",
)
IN_CLEAR = warning(
    "redis_in_clear",
    meaning="Others on the way can read which keys are in use, and change counts. It holds no secret.",
    advice="Use rediss:// (or valkeys://) in CACHE_URL.",
)
OPEN = warning(
    "redis_open",
    meaning="Whoever reaches the server can change counts, and use it for attacks on its host.",
    advice="Set a password on the server, and put it into CACHE_URL.",
)
OLD = warning(
    "redis_old",
    meaning="This version gets no fixes for security any more.",
    advice="Upgrade to Redis 7.2 or Valkey 8.",
)


def examine() -> Iterator[Finding]:
    """Yield what is wrong with the server in CACHE_URL, if one is set."""
    if not settings.CACHE_URL:
        return
    address = settings.CACHE_URL.replace("valkey", "redis", 1)
    parts = urlsplit(address)
    is_near = parts.scheme == "unix" or is_on_this_host(parts.hostname or "")
    if not is_near and parts.scheme == "redis":
        yield IN_CLEAR.found("The connection to Redis is not encrypted, and leads to another host.")
    if not is_near and not parts.password:
        yield OPEN.found("Redis is on another host, and CACHE_URL has no password.")
    try:
        with Redis.from_url(address, socket_connect_timeout=STEP_TIMEOUT, socket_timeout=STEP_TIMEOUT) as server:
            about: Any = server.info()
    except (RedisError, OSError) as error:
        yield AWAY.found(f"Redis does not answer: {in_short(error)}.")
        return
    if about.get("maxmemory") and about.get("maxmemory_policy") != "noeviction":
        yield EVICTS.found("Redis has a limit of memory, and evicts when it is full.")
    version = str(about.get("redis_version", ""))
    if "valkey_version" not in about and version and int(version.split(".", maxsplit=1)[0]) < OLDEST:
        yield OLD.found(f"Redis is version {version}.")
