"""From raw readings to priced sums: buckets, hours, days; prices that change later; retention."""
