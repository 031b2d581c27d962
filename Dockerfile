# sesq as a container image: `docker build --tag sesq .`. docs/how-to/container.md says how to run it.
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /src
COPY . .
# One virtual environment, which is copied into the image below. It has no embedded Redis: a container uses a Redis outside.
RUN python -m venv /opt/sesq \
 && /opt/sesq/bin/pip install --no-cache-dir --constraint constraints.txt \
    '.[batch,worker,global,console,simulator,submission,events,webhooks,html]'

FROM python:${PYTHON}-slim
COPY --from=build /opt/sesq /opt/sesq
COPY --chmod=755 deploy/healthy.sh /opt/sesq/bin/healthy
ENV PATH=/opt/sesq/bin:$PATH PYTHONUNBUFFERED=1
# A number, so that Kubernetes can check that it is not root. This user may write nowhere in the image.
USER 10001:10001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=60s --retries=3 CMD ["healthy"]
ENTRYPOINT ["sesq"]
CMD ["worker"]
