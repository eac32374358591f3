"""Judge credentials in this process, by records that the portal keeps current (docs/change-feed.md of the project)."""
