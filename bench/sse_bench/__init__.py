"""`make bench`: proxies side by side, one at a time, each alone on one core."""
