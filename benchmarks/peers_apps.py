"""Django's admin as an application of the project that holds the other libraries beside the portal."""

from keyportal.apps import PortalAdminConfig


class PeersAdminConfig(PortalAdminConfig):
    """The admin with a site that skips the other libraries' pages."""

    default_site = "benchmarks.peers_admin.PeersAdminSite"
