"""The portal speaks English."""
