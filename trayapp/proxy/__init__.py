"""Tokens to those who need them: the proxy, and the one endpoint over all workloads."""
