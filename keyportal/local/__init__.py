"""Local mode: a portal on one machine, for one person."""
