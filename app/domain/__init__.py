"""The words of the service: signals, visitors, sites, keys and what can go wrong. Imports nothing of ours above it."""
