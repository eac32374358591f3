"""What the doors of all frameworks share. It knows none of them."""
