"""The sole owner of workload state: events in, the machine's step, effects out, snapshots published."""
