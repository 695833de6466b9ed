"""The local stack: a local AWS with one stable address, the real template deployed to it, and demo users."""
