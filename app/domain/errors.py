"""What can go wrong, in the words of the service; app/http/answers.py gives each its status."""


class Refusal(Exception):
    """A request that is answered with an error; `str()` of it is safe to show to anybody."""

    message = "Request refused"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.message)


class InvalidToken(Refusal):
    message = "Invalid or expired token"


class SiteIdRequired(Refusal):
    message = "Site ID required"


class InvalidParameter(Refusal):
    """A parameter of the address is not what it must be; the message names it."""


class AccessDenied(Refusal):
    message = "Access denied"


class UnknownSite(Refusal):
    message = "Invalid site ID"


class NotFound(Refusal):
    """No such site or key, or one of another tenant."""

    message = "Not found"


class IdTaken(Refusal):
    """The id of a new site is in use, or was; by whom is not told."""


class OriginNotAllowed(Refusal):
    message = "Origin not allowed"


class InvalidRequest(Refusal):
    """A body or a parameter is not what it must be; the message names the field."""


class InvalidSignal(InvalidRequest):
    """The body of /api/track is not what it must be; the message names the field."""


class RepetitionRefused(Refusal):
    """An Idempotency-Key that was used with another body, or too long ago. Nothing is stored of this attempt."""


class TooLarge(Refusal):
    """More bytes or more signals than one request may bring."""


class BodyTooSlow(Refusal):
    """A request whose body was not complete in its time."""


class TooManyRequests(Refusal):
    """The caller's allowance for this minute is used up."""

    message = "Too many requests"

    def __init__(self, limit: int, remaining: int, reset_at_s: float, retry_after_s: int) -> None:
        super().__init__()
        self.limit = limit
        self.remaining = remaining
        self.reset_at_s = reset_at_s
        self.retry_after_s = retry_after_s


class Unavailable(Refusal):
    """Not known or not committed in time: ClickHouse did not answer, or too much is waiting already."""

    message = "Temporarily unavailable, try again"
    retry_after_s = 1


class CommitUnclear(Unavailable):
    """The INSERT of a signal was sent, but did not answer in time. Sending the signal again could store it twice."""

    message = "Not confirmed in time; the signals may still be stored"


class InvalidValue(Exception):
    """A value of a site or a key is not what it must be."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class StartupError(Exception):
    """The service cannot start; the message is one line with the way out."""
