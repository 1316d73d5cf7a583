"""Hosts, their live power, and the corrections of what is known of them."""
