"""Tests of the room keyportal."""
