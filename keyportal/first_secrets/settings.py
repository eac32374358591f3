"""Django's settings for commands that make secrets: these run on a machine that has no configuration yet."""

INSTALLED_APPS = ["keyportal.first_secrets"]
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
