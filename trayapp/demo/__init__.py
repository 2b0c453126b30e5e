"""`amberlight demo`: a day of Amberlight in a minute, without an account."""
