"""A developer's machine needs no mail server, because its mail is printed."""

import sys
from typing import TextIO

from services.portal.application.ports import Mail


class ConsoleMail:
    """Messages are written to standard output instead of being sent. Every reader of that output
    can use their links. A message names the user by id: no log may contain an e-mail address.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output

    async def send(self, mail: Mail) -> None:
        output = self._output or sys.stdout
        output.write(f"--- mail to the user {mail.user_id}: {mail.subject}\n{mail.text}\n---\n")
        output.flush()
