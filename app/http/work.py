"""What a worker has under way: bodies, streams and requests; so that it can come to its end."""

from app.http.bodies import Bodies
from app.http.requests import Requests
from app.http.stream import Streams


class Work:
    """The work of one application."""

    def __init__(self, bodies: Bodies, streams: Streams, requests: Requests) -> None:
        self.bodies = bodies
        self.streams = streams
        self.requests = requests

    def stop(self) -> None:
        """Wait no more for what clients send or keep open."""
        self.bodies.stop()
        self.streams.stop()
