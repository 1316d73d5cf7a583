"""What comes in: batches judged, cut and written; history and exporters on the same path."""
