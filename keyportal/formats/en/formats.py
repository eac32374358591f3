"""Formats that Django reads (`FORMAT_MODULE_PATH`). Every time in the portal is UTC."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = r"j M Y, H:i \U\T\C"
SHORT_DATETIME_FORMAT = DATETIME_FORMAT
