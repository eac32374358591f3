"""Tests of the room vault: no database, no framework."""
