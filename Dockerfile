# One image for every slipway service; docker-compose.yml says what each of them runs.

FROM python:3.11.15-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/slipway
ENV PATH=/opt/slipway/bin:$PATH
WORKDIR /src
COPY requirements ./requirements
RUN pip install --require-hashes --only-binary=:all: -r requirements/base.txt
# The wheel is built by a setuptools that stays behind in this stage.
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes --only-binary=:all: -r requirements/build.txt
COPY . .
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
    && pip install --no-deps --no-index /dist/*.whl

FROM python:3.11.15-slim-bookworm
RUN apt-get update \
    && apt-get install --yes --no-install-recommends bubblewrap git \
    && rm -rf /var/lib/apt/lists/*
ARG UID=1000
ARG GID=1000
# New volumes take over the owner of these folders.
RUN groupadd --gid "$GID" --non-unique slipway \
    && useradd --uid "$UID" --non-unique --gid "$GID" --create-home slipway \
    && install --directory --owner=slipway --group=slipway --mode=0700 \
        /var/lib/slipway /var/cache/slipway
COPY --from=build /opt/slipway /opt/slipway
ENV PATH=/opt/slipway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SLIPWAY_HOME=/var/lib/slipway \
    SLIPWAY_CACHE=/var/cache/slipway
USER slipway
WORKDIR /home/slipway
CMD ["slipway", "--help"]
