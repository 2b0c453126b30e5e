"""Laptop-days in milliseconds: the real core, engine, keystore and journal on a virtual clock (`python -m tests.simulation`).

Real: `core/`, `Engine`, `EffectRunner`, `Callers`, `SignIns`, `classify`, `vault.keystore.Keystore` with its login store, slots
and worker, `storage.journal.Journal` with its SQL, `osevents.polling.Polling`. Played: time, the token endpoints, the
network, the machine, the keyring's entries (the strict fakes of tests/edge) and the person. The keyring's and the journal's
threads are played by tasks of the virtual loop, since a thread would make a run unrepeatable and wait in real time;
state.db is a SQLite database in memory, so that a crash keeps exactly what was committed.
"""
