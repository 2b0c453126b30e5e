"""The operating system's small services: D-Bus, a worker thread, child processes, private files, the clipboard."""
