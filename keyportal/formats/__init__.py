"""How times are written where a library writes them: the admin's lists say UTC as every page does."""
