"""The options that every framework's module takes, checked at once."""

from collections.abc import Callable, Collection
from typing import Any, Final, Literal, TypeAlias, TypedDict, get_args

from keyportal_client.credential import Credential
from keyportal_client.errors import ConfigurationError
from keyportal_client.serving.networks import Networks
from keyportal_client.verifying.requirements import requirements

Trust: TypeAlias = Literal["credential", "assertion", "headers"]
FindUser: TypeAlias = Callable[[Credential], Any]
"""Returns who the owner of a credential is in the service: mostly a row of its own table."""


class Options(TypedDict, total=False):
    """The options. What is left out is taken from the environment or does not apply."""

    portal: str | None
    """The portal's address, instead of KEYPORTAL_PORTAL."""
    key: str | None
    """The service's own key, instead of KEYPORTAL_KEY."""
    service: str
    """The name under which the portal shows the service's calls."""
    audience: str | None
    """The audience that tokens must have; with `trust="assertion"`, the one that the gateway's configuration names."""
    issuer: str | None
    """With `trust="assertion"`, the portal's public address, where that is not the one by which it is reached."""
    environment: str | None
    """`live` or `test`, for all that is protected; None for either."""
    timeout: float
    """Seconds to wait for an answer of the portal."""
    trust: Trust
    """What says who sent a request: the `credential` itself, or, behind a gateway that has checked it, its `assertion`
    or its plain `headers`."""
    trusted_proxies: Collection[str]
    """The networks of proxies whose X-Forwarded-For is believed, and `unix`."""
    trusted_networks: Collection[str]
    """With `trust="headers"`, the networks of the gateways, and `unix`."""


NEEDED: Final = {
    "assertion": ("audience", 'trust="assertion" needs the audience that the gateway\'s configuration names.'),
    "headers": ("trusted_networks", 'trust="headers" needs trusted_networks: where the gateways are.'),
}


class CheckOptions:
    """The options, checked."""

    def __init__(self, options: Options) -> None:
        self.trust: Trust = options.get("trust", "credential")
        _refuse_contradictions(self.trust, options)
        self.options = options
        self.environment = requirements((), options.get("environment")).environment
        self.proxies = Networks(options.get("trusted_proxies", ()), name="trusted_proxies")
        self.gateways = Networks(options.get("trusted_networks", ()), name="trusted_networks")

    def __repr__(self) -> str:  # the options hold the service's key
        return f"<CheckOptions trust={self.trust}>"


def check_needs(scopes: Collection[str], environment: str | None) -> None:
    """Raise ValueError for what no route can mean, when it is written and not when it is first called."""
    if not all(isinstance(scope, str) and scope for scope in scopes):
        raise ValueError('scopes are names, such as requires("reports:read"); requires() is for any credential')
    requirements(scopes, environment)


def _refuse_contradictions(trust: str, options: Options) -> None:
    """Raise `ConfigurationError` for what can't be meant. A misspelt option must not open anything."""
    if trust not in get_args(Trust):
        raise ConfigurationError("trust is credential, assertion or headers.")
    if not options.keys() <= Options.__annotations__.keys():
        raise ConfigurationError(f"The options are {', '.join(Options.__annotations__)}.")
    if options.get("trusted_networks") and trust != "headers":
        raise ConfigurationError('trusted_networks is for trust="headers". For X-Forwarded-For, use trusted_proxies.')
    needed, message = NEEDED.get(trust, ("", ""))
    if needed and not options.get(needed):
        raise ConfigurationError(message)
