"""The loopback HTTP server: admits or refuses each request, for the routes of `trayapp.api` and `trayapp.proxy`."""
