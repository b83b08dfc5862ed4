"""Numbered lines with a thread per client and a parser that is a generator.

Peculiar: bytes become text as they arrive, by an incremental decoder that is new for every line, so that a character
cut in two waits in the decoder and not in a buffer; a line too long is refused when its LF arrives; every
answer is a send() of its own, without Nagle's algorithm.
"""

import argparse
import codecs
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

MAX_LINE = 4096  # bytes, the LF and the CR before it not counted

new_decoder = codecs.getincrementaldecoder("utf-8")


def pieces(connection: socket.socket) -> Iterator[tuple[bytes, bool]]:
    """Yield what the client sends, cut at every LF (which is left out), and whether a LF ended the piece."""
    while data := connection.recv(2048):
        *ended, rest = data.split(b"\n")
        yield from ((piece, True) for piece in ended)
        yield rest, False


def lines(connection: socket.socket) -> Iterator[str]:
    """Yield the text of each line, or the refusal of it."""
    decoder, text, size, held = new_decoder("replace"), "", 0, b""
    for piece, ends in pieces(connection):
        piece = held + piece
        held = piece[-1:] if piece.endswith(b"\r") else b""  # it may be the CR of a CR LF: not text yet
        piece = piece[: len(piece) - len(held)]
        size += len(piece)
        if size <= MAX_LINE:
            text += decoder.decode(piece)
        if ends:
            yield text + decoder.decode(b"", final=True) if size <= MAX_LINE else "ERROR line-too-long"
            decoder, text, size, held = new_decoder("replace"), "", 0, b""


def answer_lines(connection: socket.socket, clients: "set[socket.socket]") -> None:
    """The work of one thread."""
    try:
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number, line in enumerate(lines(connection), start=1):
                connection.sendall(f"{number} {line}\n".encode())
    except OSError as error:
        print(f"{threading.current_thread().name}: {error}", flush=True)
    finally:
        clients.discard(connection)


def serve(listener: socket.socket, clients: "set[socket.socket]") -> None:
    """Start a thread for every client, for ever."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            print(f"nobody accepted: {error}", flush=True)
            time.sleep(0.1)
            continue
        clients.add(connection)
        try:
            threading.Thread(target=answer_lines, args=(connection, clients)).start()
        except RuntimeError as error:
            print(f"no thread: {error}", flush=True)
            clients.discard(connection)
            connection.close()


def main(host: str, port: int) -> None:
    """Listen, let threads do the work, and hang up on everybody at SIGINT or SIGTERM."""
    stop_signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    clients: set[socket.socket] = set()
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
        print("listening on {}:{}".format(*listener.getsockname()), flush=True)
        threading.Thread(target=serve, args=(listener, clients), daemon=True).start()
        signal.sigwait(stop_signals)
        for connection in clients.copy():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        os._exit(0)  # a client that came this very moment has a thread that nobody would wake


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=5555)
    args = parser.parse_args()
    main(args.host, args.port)
