"""Examples; each file also stands alone."""
