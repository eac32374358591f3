"""The models of this app, gathered from its packages for Django."""

from credentials.scopes.models import Scope
from credentials.usage.models import AddressUsage, SourceAddress, Usage, UsageBatch
from credentials.verified_cache.models import ChangeCounter, RecordedChange

__all__ = ["AddressUsage", "ChangeCounter", "RecordedChange", "Scope", "SourceAddress", "Usage", "UsageBatch"]
