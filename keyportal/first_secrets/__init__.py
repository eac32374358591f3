"""The secrets that a portal needs before its first start. Nothing here reads a setting: there is none yet."""
