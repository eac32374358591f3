"""Django's admin as an application of the project in which peers stand beside the portal."""

from keyportal.apps import PortalAdminConfig


class PeersAdminConfig(PortalAdminConfig):
    """The admin with a site that leaves the peers' pages out."""

    default_site = "benchmarks.peers_admin.PeersAdminSite"
