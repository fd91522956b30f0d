"""A record's text with the offending place marked. Must not read or mask."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

_MOST_MARKS = 20


def marked(text: str, value: str | None, path: str = "") -> Markup:
    """The text as HTML; `value` is marked where it stands as a whole, near `path` if that is there.

    Nothing is marked where the value is blank or does not stand in it.
    """
    if not value or not value.strip():
        return escape(text)
    whole = re.compile(rf"(?<![\w.,-]){re.escape(value)}(?![\w-])")
    places = [found.span() for found in whole.finditer(text)]
    if not places:
        places = [found.span() for found in re.finditer(re.escape(value), text)]
    leaf = path.removesuffix("[]").rpartition("/")[2]
    if leaf and len(places) > 1:
        named = [at for at in places if leaf in text[max(0, at[0] - len(leaf) - 12) : at[0]]]
        places = named or places
    made, last = Markup(""), 0
    for start, end in places[:_MOST_MARKS]:
        made += escape(text[last:start]) + Markup("<mark>{}</mark>").format(text[start:end])
        last = end
    return made + escape(text[last:])
