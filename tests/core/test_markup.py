"""Text within markup."""

from __future__ import annotations

import html

from hypothesis import given
from hypothesis import strategies as st

from trayapp.core.markup import escape


@given(st.text(st.sampled_from("ab&<>\"';#ä") | st.characters()), st.booleans())
def test_text_is_escaped_as_the_standard_library_does(text: str, quote: bool) -> None:
    """In text and, with quotation marks, in attributes."""

    assert html.escape(text, quote=quote) == escape(text, quote=quote)
