"""The HTTP API of the running app: workloads, events, history, OpenAPI document, and the dashboard's pages."""
