"""The ceiling of the HTTP path: Litestar handlers that return fixed bytes, served as `pulsehouse serve` does."""

import argparse
import os
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from litestar import Litestar, Request, Response, get, post

from app.cli.serve import connection_options
from app.settings import read_settings

BODY = b"x" * int(os.environ.get("BENCH_FIXED_SIZE", "2000"))


@get("/get")
async def get_fixed() -> Response[bytes]:
    return Response(BODY, media_type="application/json")


@post("/post", status_code=200)
async def post_fixed(request: Request[Any, Any, Any]) -> Response[bytes]:
    await request.body()
    return Response(b'{"success":true}', media_type="application/json")


def create_worker() -> Litestar:
    return Litestar([get_fixed, post_fixed], openapi_config=None, logging_config=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--size", type=int, default=2_000, help="bytes of the answer")
    args = parser.parse_args()
    os.environ["BENCH_FIXED_SIZE"] = str(args.size)
    Granian(
        "bench.fixed:create_worker",
        port=args.port,
        workers=args.workers,
        interface=Interfaces.ASGI,
        factory=True,
        **connection_options(read_settings({})),
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main()
