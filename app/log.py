"""How every process of the service logs: one line per event on standard error, as text or as JSON."""

import logging
import logging.config
import sys
import time
from typing import Any, Literal

import msgspec

Level = Literal["debug", "info", "warning", "error"]

GRANIAN_LOGGING: dict[str, Any] = {"loggers": {"_granian": {}}}
"""Lets the lines of granian take the way of all others; its own configuration prints them bare, on standard output."""

_ONE_LINE = {number: repr(chr(number))[1:-1] for number in (*range(32), 127, *range(128, 160), 0x2028, 0x2029)}


def configure_logging(role: str, *, as_json: bool = False, level: Level = "info") -> None:
    """Have this process log by its role (`main`, `worker`, `command`); may be called again with other values."""
    formatter = f"{__name__}.{'JsonLines' if as_json else 'TextLines'}"
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"line": {"()": formatter, "role": role}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": level.upper()},
            # It tells of each request that it sends.
            "loggers": {"httpx": {"level": "WARNING"}},
        }
    )
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
    logging.getLogger(__name__).critical("unexpected error", exc_info=(kind, error, traceback))


class Lines(logging.Formatter):
    """What both formats have in common: time in UTC, role, and what a call of the log adds as `fields`."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, role: str) -> None:
        super().__init__()
        self.role = role


class TextLines(Lines):
    """`2026-11-23T14:32:20.123Z INFO worker[4711] message`; a traceback follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage().translate(_ONE_LINE)
        line = f"{self.formatTime(record)} {record.levelname} {self.role}[{record.process}] {message}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(Lines):
    """The same as an object per line, with the logger, and the traceback as one text."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": self.formatTime(record),
            "level": record.levelname,
            "process": self.role,
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(event).decode()
