"""The fault harness: breaks a running service in every way it can think of, and counts what was lost or doubled."""
