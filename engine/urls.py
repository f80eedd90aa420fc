"""Addresses that may hold a password: how they are shown."""

import re

IN_AUTHORITY = re.compile(r"(://[^/\s:@]*):[^\s]*@")  # to the last @: a password may hold one
IN_QUERY = re.compile(r"([?&](?:password|sslpassword|passfile)=)[^&\s]*")


def hidden(text: str) -> str:
    """A text with the password of every address in it replaced by ***."""
    return IN_QUERY.sub(r"\1***", IN_AUTHORITY.sub(r"\1:***@", text))
