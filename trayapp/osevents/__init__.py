"""Operating system events: network changes, sleep and wake, and clock steps, from the best sources each system has.

A source holds the OS call and no judgement. Every source makes the same few events (`events.py`) and passes them to
`emit`, which only posts. What counts as a change of the network is decided in `network.py` for all systems, what a jump
of the clocks means in `clocks.py`, and what follows from an event (settling, bursts, the gate) in the core.

`sources.py` lists the native sources, `watch.py` runs them and merges what they report. `polling.py` always works beneath
them: it needs nothing from the system but files and sockets, and it notices what a native source missed.

The modules of this package import each other by name and never this file, so that no import runs in a circle.
"""
