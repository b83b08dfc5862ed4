"""How slow this machine is just now, by a yardstick: a minimal server, started, asked, and ended."""

import socket
import sys
import time
from pathlib import Path

from harness.launch.command import Command
from harness.launch.program import Program

USUAL = 0.12  # seconds that the yardstick takes on a machine that has little else to do
MOST = 10.0  # a deadline is never stretched by more than this

SERVER = """
import argparse, socket
parser = argparse.ArgumentParser()
parser.add_argument("--host")
parser.add_argument("--port", type=int)
args = parser.parse_args()
connection, _ = socket.create_server((args.host, args.port)).accept()
while data := connection.recv(65536):
    connection.sendall(data)
"""


def slowness() -> float:
    """Return how many times longer than usual the yardstick takes now, from 1 to MOST."""
    began = time.monotonic()
    limit = began + MOST * USUAL
    with Program(Command((sys.executable, "-c", SERVER), Path.cwd())) as program:
        if not program.wait_listening(lambda: limit - time.monotonic()):
            return MOST
        with socket.create_connection(program.address, timeout=MOST * USUAL) as client:
            for _ in range(20):
                client.sendall(b"x")
                client.recv(1)
    return min(MOST, max(1.0, (time.monotonic() - began) / USUAL))
