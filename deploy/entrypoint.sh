#!/bin/sh
# Entry of the container image. A service on a network is refused without a key, so the first
# start makes one and prints it into the log, once.
set -eu

if [ "${1:-}" = serve ]; then
  keys=$(carbon key list)
  if [ -z "$keys" ]; then
    key=$(carbon key create --name admin --admin)
    echo "admin key, shown this once: $key"
    if [ -d /var/lib/carbon-scrape ]; then
      carbon key create --name prometheus --scrape >/var/lib/carbon-scrape/key
    fi
  fi
fi
exec carbon "$@"
