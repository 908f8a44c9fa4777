"""Other people's traffic, for a lab whose network loses packets: a kilobyte at a time, over four connections."""

import socket
import threading
import time


def listen(other: socket.socket) -> None:
    while other.recv(65536):
        pass


def talk() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    one = socket.create_connection(listener.getsockname())
    threading.Thread(target=listen, args=(listener.accept()[0],), daemon=True).start()
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        one.sendall(b"x" * 1024)
        time.sleep(0.002)


for _ in range(4):
    threading.Thread(target=talk, daemon=True).start()
threading.Event().wait()
