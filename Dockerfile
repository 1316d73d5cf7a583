# One image for the service and the agent: `serve` is the default, `agent` the other command.
FROM python:3.13-slim

WORKDIR /opt/carbon
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY carbon carbon
COPY migrations migrations
COPY dashboards dashboards
RUN pip install --no-cache-dir --constraint constraints.txt '.[server,pg]'

COPY deploy/entrypoint.sh /usr/local/bin/carbon-entrypoint
RUN useradd --system --uid 10001 --create-home carbon \
 && install --directory --owner=carbon --mode=0700 /var/lib/carbon \
 && install --directory --owner=carbon --mode=0755 /var/lib/carbon-scrape

ENV CARBON_DATA_DIR=/var/lib/carbon
VOLUME /var/lib/carbon
EXPOSE 8000
# Away from the sources: what runs is what was installed.
WORKDIR /var/lib/carbon
USER carbon
ENTRYPOINT ["/bin/sh", "/usr/local/bin/carbon-entrypoint"]
CMD ["serve", "--host", "0.0.0.0"]
