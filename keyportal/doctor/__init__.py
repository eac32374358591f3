"""Look at a deployment from inside and from outside, and say of each finding what it means and what to do."""
