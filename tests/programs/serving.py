"""Servers under load: a good one, and such as go wrong on the way."""

import os
import socket
import threading

from scripted import Told, behave, listener


def _echo(connection: socket.socket) -> None:
    with connection:
        while data := connection.recv(65536):
            connection.sendall(data)


def threads(told: Told) -> None:
    """Echo, a thread for each client."""
    sock = listener(told.host, told.port)
    while True:
        connection, _ = sock.accept()
        threading.Thread(target=_echo, args=(connection,), daemon=True).start()


def shouts(told: Told) -> None:
    """Answer in capital letters."""
    sock = listener(told.host, told.port)
    connection, _ = sock.accept()
    while data := connection.recv(65536):
        connection.sendall(data.upper())


def dies_after(told: Told) -> None:
    """Echo so many bytes, and die."""
    sock = listener(told.host, told.port)
    connection, _ = sock.accept()
    left = int(told.words[0])
    while left > 0:
        data = connection.recv(left)
        connection.sendall(data)
        left -= len(data)
    os.abort()


if __name__ == "__main__":
    behave(threads, shouts, dies_after)
