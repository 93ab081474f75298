# One image for every service and task: SURFACES says which addresses it answers, a command replaces the server.
# Built with `make image`, pushed with deploy/push_image. deploy/image/contents.py looks at what came of it.

FROM docker.io/library/debian:bookworm-slim AS base

# --- What takes a compiler, pip or the network stays behind in this stage -----------------------------------------------
FROM base AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# Versions are those of Debian's stable release and its security updates, on the day of the build.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates default-libmysqlclient-dev gcc libc6-dev pkg-config python3 python3-dev python3-pip tzdata \
    && rm -rf /var/lib/apt/lists/*
# Without pip in it: who gets into a container installs nothing.
RUN python3 -m venv --without-pip /opt/venv && python3 -m venv --without-pip /opt/builder
WORKDIR /locked
COPY requirements.txt .
COPY deploy/image/requirements.txt builder.txt
# mysqlclient has no wheel for Linux. By itself pip would fetch what it is built with, and no lock would name that.
RUN awk '/^[^ #]/ { mine = /^mysqlclient==/ } mine' requirements.txt > mysqlclient.txt \
    && awk '/^[^ #]/ { mine = /^mysqlclient==/ } !mine' requirements.txt > others.txt \
    && export PIP_NO_CACHE_DIR=1 PIP_NO_DEPS=1 \
    && pip --python /opt/builder/bin/python install --only-binary :all: --require-hashes -r builder.txt \
    && pip --python /opt/builder/bin/python wheel --no-build-isolation --require-hashes -w . -r mysqlclient.txt \
    && pip --python /opt/venv/bin/python install --no-compile --no-index ./mysqlclient-*.whl \
    && pip --python /opt/venv/bin/python install --no-compile --only-binary :all: --require-hashes -r others.txt \
    && pip --python /opt/venv/bin/python check
WORKDIR /app
COPY . .
# The settings of a laptop are those that need nothing from outside; the key is of this command alone.
# Bytecode by content: it counts wherever the file's time is not kept, and nothing has to be written at a start.
RUN DJANGO_SETTINGS_MODULE=billing.settings.local SECRET_KEY=not-used PYTHONDONTWRITEBYTECODE=1 \
        /opt/venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && /opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/venv/lib /app \
    && rm -r deploy \
    && chmod -R u=rwX,go=rX /app /opt/venv

# --- What runs ----------------------------------------------------------------------------------------------------------
FROM base
ARG SOURCE_COMMIT=""
ARG RDS_CA=https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem
LABEL org.opencontainers.image.title="billing" \
      org.opencontainers.image.description="Card numbers kept out of trouble in Django" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${SOURCE_COMMIT}"
# Nothing in it raises the rights of who runs it, and /tmp is the one place where anybody may write.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libmariadb3 python3 tini tzdata \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/cache/debconf /var/log/* \
    && groupadd --gid 10001 billing \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin billing \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
    && find / -xdev -type d -perm -o=w ! -path /tmp -exec chmod o-w {} +
# With these the database proves that it is the database. Who has no way there gives a file: see .dockerignore.
# checkov:skip=CKV_DOCKER_4:the certificates of AWS come from AWS, over TLS; COPY takes no address
# hadolint ignore=DL3020
ADD --chmod=644 ${RDS_CA} /etc/ssl/certs/rds-global-bundle.pem
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=billing.settings.production \
    DATABASE_CA=/etc/ssl/certs/rds-global-bundle.pem \
    SOURCE_COMMIT=${SOURCE_COMMIT} \
    BIND=0.0.0.0 \
    PORT=8000
WORKDIR /app
# No VOLUME: /tmp is memory (`tmpfs`) where it runs, as the stacks and compose.yaml have it.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-m", "billing.probe"]
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["gunicorn", "--config", "billing/gunicorn_conf.py", "billing.wsgi"]
