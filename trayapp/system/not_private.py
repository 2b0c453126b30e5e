"""The error of files and directories that others could read or replace."""

from __future__ import annotations


class NotPrivateError(Exception):
    """A file or directory that can't be made private. The text is a sentence for people."""
