"""Laptop-days in milliseconds: the real core, engine, keystore and journal on a virtual clock (`python -m tests.simulation`).

What is real: `core/`, `Engine`, `EffectRunner`, `Callers`, `SignIns`, `classify`, `oauth.wire.Wire` with its limits and its
last look, `vault.keystore.Keystore` with its login store, slots and worker, `storage.journal.Journal` with its SQL,
`osevents.polling.Polling`. What is simulated: time, the token endpoints, the network, the machine, the keyring's entries
(the strict fakes of tests/vault) and the person. The threads of keyring and journal are simulated by tasks of the virtual
loop, since a thread would make a run unrepeatable and wait in real time; state.db is a SQLite database in memory, so that a
crash keeps exactly what was committed.
"""
