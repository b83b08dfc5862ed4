"""C7: the server process of every lab, as far as it concerns echo and line servers."""

import sys

from harness.checks.bench import Bench, port_in_use
from harness.checks.mark import check
from harness.checks.subject import Subject
from harness.checks.verdict import Blocked
from harness.launch.ports import reserved_port
from harness.launch.private import can_be_private
from harness.launch.program import HOST
from harness.launch.sockets import holder
from harness.launch.tiers import PLAIN, RULESET
from harness.wire import Fault

DEFAULT_PORT = 5555


@check(
    "C7",
    "Its program takes `[--host HOST] [--port PORT]`, defaults 127.0.0.1 and 5555",
    "socket(), bind() and listen() make a listening socket; the program has to go on running behind them.",
)
def check_listens(server: Subject) -> None:
    """The program starts, listens on the address that it was told, and a client can connect."""
    server.connect("ann")


@check(
    "C7",
    "one line `listening on HOST:PORT` is printed first and flushed",
    'print(f"listening on {host}:{port}", flush=True), with what listener.getsockname() returns.',
)
def check_says_listening(server: Subject) -> None:
    """The first line that the program prints is `listening on HOST:PORT`, and it comes at once."""
    server.expect_first_line()


@check(
    "C7",
    "port 0 picks a free one. It binds exactly what it was told.",
    "bind((host, port)) with the host and the port that the program was given, and nothing else.",
    waits=True,
)
def check_binds_what_it_is_told(bench: Bench) -> None:
    """The program listens on the host and port that it was told, and nowhere else; port 0 picks a free one."""
    bench.start().expect_listening_only_on(HOST)
    server = bench.start(port=0)
    server.expect_first_line()
    server.connect("ann")
    if sys.platform == "linux":  # elsewhere 127.0.0.1 is the only loopback address
        bench.start(host="127.0.0.2").expect_listening_only_on("127.0.0.2")


@check(
    "C7",
    "Its program takes `[--host HOST] [--port PORT]`, defaults 127.0.0.1 and 5555",
    "Without arguments the program listens on 127.0.0.1, port 5555.",
    waits=True,
)
def check_has_default_address(bench: Bench) -> None:
    """Without arguments the program listens on 127.0.0.1:5555."""
    if bench.starter.command.fills_in_address:
        raise Blocked("the command line names the address itself, so the program's defaults cannot be seen")
    if bench.starter.tier == RULESET or (bench.starter.tier == PLAIN and not can_be_private()):
        with reserved_port(HOST, DEFAULT_PORT):  # wait for a kit that is making this very check
            if holder(DEFAULT_PORT):
                raise port_in_use(DEFAULT_PORT)
    try:
        bench.start(HOST, DEFAULT_PORT, defaults=True).expect_listening_only_on(HOST)
    except Fault:
        program = bench.subjects[-1].program
        if program.status is not None and program.port_was_taken():
            raise port_in_use(DEFAULT_PORT) from None
        raise


@check(
    "C7",
    "It can be restarted on its port at once (`SO_REUSEADDR`)",
    "setsockopt(SOL_SOCKET, SO_REUSEADDR, 1) on the listener, before bind().",
    waits=True,
)
def check_restarts_at_once(bench: Bench) -> None:
    """A server that ended while a client was connected can be started again on its port at once."""
    server = bench.start()
    ann = server.connect("ann")
    ann.wait_accepted()
    server.kill()
    ann.expect_gone()  # what she has not read would make her close() a reset, which leaves nothing behind
    ann.close()
    bench.start_again(server).connect("bob")


@check(
    "C7",
    "Idle, it uses no CPU.",
    "Wait in accept() (or select()); a loop around a non-blocking call, or with a short time-out, is never idle.",
    waits=True,
)
def check_idles(bench: Bench) -> None:
    """A server to which nobody is connected uses no processor time."""
    bench.start().expect_idle()


@check(
    "C7",
    "takes a burst of 100 connections",
    "listen(backlog) says how many connections may wait to be accepted: 100 and more is usual.",
    needs=("next-client",),
)
def check_burst_of_100(server: Subject) -> None:
    """A hundred clients that connect at the same moment are all served."""
    server.serve_crowd(100)


@check(
    "C7",
    "SIGINT and SIGTERM: every connection is closed and the process is gone within 2 seconds, without a traceback, "
    "whoever is connected.",
    "Python raises KeyboardInterrupt on SIGINT; signal.signal() can let SIGTERM do the same. Catch it around "
    "the loop that serves.",
    waits=True,
)
def check_stops_when_idle(bench: Bench) -> None:
    """SIGINT and SIGTERM end a server that has nobody connected, within 2 seconds and without a traceback."""
    for name in ("SIGINT", "SIGTERM"):
        server = bench.start()
        for client in ("ann", "bob"):
            peer = server.connect(client)
            server.greet(peer)
            peer.close()
        server.expect_stop(name)


@check(
    "C7",
    "SIGINT and SIGTERM: every connection is closed and the process is gone within 2 seconds, without a traceback, "
    "whoever is connected.",
    "Whatever waits for a client (a thread in recv(), a sendall() that nobody reads) must not keep the process.",
    needs=("stops-when-idle",),
    waits=True,
)
def check_stops_with_clients(bench: Bench) -> None:
    """SIGINT and SIGTERM end a server with clients that are silent, wait to be served, or do not read."""
    server = bench.start()
    ann = server.connect("ann")
    server.greet(ann)
    bob = server.connect("bob")
    server.expect_stop("SIGINT")
    for peer in (ann, bob):
        peer.expect_gone("When the process ends, no connection may stay open.")
    server = bench.start()
    ann = server.connect("ann")
    server.greet(ann)
    for _ in range(2):  # it may only have been slow: what it has taken since leaves room for more
        ann.send_until_stuck(b"All work and no play makes a dull server.\n" * 1000)
        server.settle()
    bob = server.connect("bob")
    server.expect_stop("SIGTERM")
    for peer in (ann, bob):
        peer.expect_gone("When the process ends, no connection may stay open.")
