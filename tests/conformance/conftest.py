"""The names that the conformance tests share stand in `tests.oauth_client`."""

from tests.oauth_client import FORM, PASSWORD, ClientKey, OAuthClient, basic, json_of

__all__ = ["FORM", "PASSWORD", "ClientKey", "OAuthClient", "basic", "json_of"]
