"""The workloads API and the dashboard: what people and programs ask of the running app."""
