"""The loopback HTTP server: who may ask at all, for the routes of `trayapp.api` and `trayapp.proxy`."""
