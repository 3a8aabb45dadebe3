"""Mail without a mail server, for a developer's machine."""

import sys
from typing import TextIO

from services.portal.application.ports import Mail


class ConsoleMail:
    """Writes each message to standard output instead of sending it. Every reader of that output can
    use its links. A message names the user by id, because an e-mail address must not be in a log.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output

    async def send(self, mail: Mail) -> None:
        output = self._output or sys.stdout
        output.write(f"--- mail to the user {mail.user_id}: {mail.subject}\n{mail.text}\n---\n")
        output.flush()
