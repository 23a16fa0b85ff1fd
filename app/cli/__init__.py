"""The command line `pulsehouse`."""
