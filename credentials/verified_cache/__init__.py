"""The verified cache, and how a process knows whether it is current."""
