"""What goes on without a request: upkeep of the ledger, polling of feeds and prices."""
