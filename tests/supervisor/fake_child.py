"""A child for the supervisor's tests: reports to a registrar, answers /readyz if it has a port, and does as it is told.

Its connection to the registrar stays open as long as it lives: the other end sees it end, however it ends.
Arguments: NAME REGISTRAR_PORT READY_PORT [deaf], READY_PORT 0 for none; a deaf one ignores SIGTERM.
"""

import os
import signal
import socket
import sys
import threading

from keeptrusts.supervisor.lifeline import hold_lifeline


def answer_ready(listener: socket.socket) -> None:
    while True:
        client, _ = listener.accept()
        with client:
            client.recv(1_000)
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def main() -> None:
    name, registrar_port, ready_port, *how = sys.argv[1:]
    if "deaf" in how:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hold_lifeline(os.environ)
    registrar = socket.create_connection(("127.0.0.1", int(registrar_port)))
    registrar.sendall(f"{name} {os.getpid()}\n".encode())
    if int(ready_port):
        listener = socket.create_server(("127.0.0.1", int(ready_port)))
        threading.Thread(target=answer_ready, args=(listener,), daemon=True).start()
    order = registrar.recv(100).decode().split()
    os._exit(int(order[1]) if order[:1] == ["exit"] else 0)


if __name__ == "__main__":
    main()
