"""Tests of the room apikeys."""
