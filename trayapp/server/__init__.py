"""The HTTP server on 127.0.0.1: who may ask at all, for the routes of `console` and `delivery`."""
