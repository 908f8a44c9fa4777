"""The labs' service (`serve PORT`) and its client (`ask PORT TIMES`), which prints how many times it was answered."""

from __future__ import annotations

import socket
import sys

kind, port = sys.argv[1], int(sys.argv[2])
if kind == "serve":
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"here\n")
else:
    answered = 0
    for _ in range(int(sys.argv[3])):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=0.3) as connection:
                answered += connection.recv(10) == b"here\n"
        except OSError:
            pass
    print(answered)
