# laennec serve in a container, for a folder of recordings:
#
#   docker build -t laennec .
#   docker run --rm -p 127.0.0.1:8765:8765 -v "$PWD/recordings:/recordings" -e LAENNEC_TOKEN laennec
#
# LAENNEC_TOKEN is 16 characters or more; the page is then at http://127.0.0.1:8765/?token=…
FROM python:3.12-slim AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY ci/constraints.txt ci/constraints.txt
RUN python -m venv /venv \
 && /venv/bin/pip install --no-cache-dir --constraint ci/constraints.txt ".[web,media]"

FROM python:3.12-slim
RUN useradd --create-home --uid 1000 laennec && install -d -o laennec /recordings
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
USER laennec
VOLUME /recordings
EXPOSE 8765
STOPSIGNAL SIGTERM
# It answers anything, also that the token lacks.
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8765), 5).close()"]
ENTRYPOINT ["laennec", "serve", "/recordings", "--host", "0.0.0.0", "--port", "8765"]
