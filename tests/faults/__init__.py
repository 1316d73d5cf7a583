"""What goes wrong, done to the real processes: killed, asked to stop, started where they cannot."""
