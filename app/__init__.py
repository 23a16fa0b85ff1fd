"""Pulsehouse: who is on my site right now, answered exactly."""
