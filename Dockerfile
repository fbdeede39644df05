# The public demo on a CPU: docker build -t covidcore . (docs/deploy.md says how to run it).
FROM python:3.11-slim AS build

# Where torch comes from: extra words for pip, such as the option that PyTorch's install page gives
# for "CPU". Without them the usual wheels are taken, which bring 4 GB for GPUs along.
ARG TORCH_OPTIONS=""

RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/pip install --no-cache-dir torch torchvision ${TORCH_OPTIONS} \
    && /venv/bin/pip install --no-cache-dir -r requirements.txt

FROM python:3.11-slim

RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin covidcore \
    && mkdir /data && chown covidcore /data
COPY --from=build /venv /venv
WORKDIR /app
COPY .streamlit/config.toml .streamlit/
COPY streamlit_app.py asgi.py ./
COPY covidcore covidcore
COPY pages pages
RUN /venv/bin/python -m compileall -q covidcore pages

# Nothing is written but to /data and /tmp, so the root may be read-only.
ENV COVIDCORE_HOME=/data COVIDCORE_DEMO=1 \
    HOME=/tmp MPLCONFIGDIR=/tmp PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    MALLOC_ARENA_MAX=2
VOLUME /data
USER covidcore
EXPOSE 8501

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/venv/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]

CMD ["/venv/bin/streamlit", "run", "asgi.py", "--server.address=0.0.0.0", "--server.headless=true"]
