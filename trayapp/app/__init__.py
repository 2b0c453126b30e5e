"""The composition root: builds the parts, owns the threads, the instance lock and the shutdown."""
