"""What the modules for all frameworks share. It knows none of them."""
