"""Small operating system services: D-Bus, a worker thread, child processes, private files, the clipboard."""
