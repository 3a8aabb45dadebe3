"""Mail without a mail server: for a machine of one's own."""

import sys
from typing import TextIO

from services.portal.application.ports import Mail


class ConsoleMail:
    """Writes each message to standard output instead of sending it. Whoever reads that output can
    use the links in it. It names the user by id: an e-mail address belongs in no log.
    """

    def __init__(self, output: TextIO | None = None) -> None:
        self._output = output

    async def send(self, mail: Mail) -> None:
        output = self._output or sys.stdout
        output.write(f"--- mail to the user {mail.user_id}: {mail.subject}\n{mail.text}\n---\n")
        output.flush()
