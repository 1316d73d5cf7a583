"""Where grid intensity comes from: feeds, their ladder per zone, validation and own forecast."""
