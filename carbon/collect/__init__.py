"""The agent: reads meters, names who drew the power, and delivers what it saw without loss."""
