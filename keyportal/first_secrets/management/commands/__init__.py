"""Commands that need no settings: `manage.py` runs them with `keyportal/first_secrets/settings.py`."""
