"""The rules of Amberlight as pure functions and values (RULES.md): no clock, no random numbers, no I/O."""
