"""What takes minutes and is done for real: `make drill`. The last figures are in docs/drills.md."""
