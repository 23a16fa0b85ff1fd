"""How to ask a running service: what the command line and the demo do as its clients. Imports app/domain alone."""
