# The API, without the embedded engine (530 MB): it needs PULSEHOUSE_CLICKHOUSE_URL.
# Built and run by compose.yaml; docs/operations.md, "Containers".
FROM python:3.13-slim-trixie AS build
WORKDIR /srv/pulsehouse
RUN python -m venv .venv
COPY requirements.lock ./
RUN .venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
        --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY sql sql
COPY migrations migrations
RUN .venv/bin/pip install --disable-pip-version-check --no-deps --no-build-isolation .

FROM python:3.13-slim-trixie
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin pulsehouse
COPY --from=build /srv/pulsehouse/.venv /srv/pulsehouse/.venv
ENV PATH=/srv/pulsehouse/.venv/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /srv/pulsehouse
USER pulsehouse
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=4s --start-period=70s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/ready', timeout=3)"]
CMD ["pulsehouse", "serve", "--host", "0.0.0.0", "--workers", "2"]
