"""The scope catalogue."""
