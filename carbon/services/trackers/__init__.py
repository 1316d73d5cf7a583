"""CodeCarbon's trackers as senders."""
