"""Walks through a started portal in a real browser."""
