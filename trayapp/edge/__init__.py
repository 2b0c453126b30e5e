"""I/O, one outside thing per file, no decisions."""
