"""Exit 0 when the container's service says it is ready.

It runs every few seconds and imports very little, because an HTTP client costs ten times as much.
"""

import os
import socket
import sys


def main() -> None:
    with socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), timeout=4) as connection:
        connection.sendall(b"GET /ready HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = connection.recv(1024).split(b"\r\n")[0].decode()
    if answer.split()[1:2] != ["200"]:
        sys.exit(f"/ready answers {answer}")


if __name__ == "__main__":
    main()
