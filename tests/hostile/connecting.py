"""Programs that look for somebody else in the network."""

from hostile.case import Case, Says

CONNECTS = """
def connect(family, address, kind=socket.SOCK_STREAM, protocol=0, option=None):
    with socket.socket(family, kind, protocol) as one:
        one.settimeout(2)
        if option:
            one.setsockopt(*option)
        one.connect(address)
        one.send(b"x")
def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("127.0.0.1", world["udp"]))
        for _ in range(2):
            one.send(b"x")
def fast_open():
    with socket.socket() as one:  # without a timeout, which would tell nothing of the connection to come
        one.sendto(b"x", 0x20000000, ("127.0.0.1", world["port"]))
def fast_open_message():
    with socket.socket() as one:
        one.sendmsg([b"x"], [], 0x20000000, ("127.0.0.1", world["port"]))
INET, INET6, UNIX = socket.AF_INET, socket.AF_INET6, socket.AF_UNIX
local = ("127.0.0.1", world["port"])
found = worked(
    grader=lambda: connect(INET, local),
    neighbour=lambda: world["tier"] != "box" and connect(INET, ("127.0.0.1", world["neighbour"])),
    any_address=lambda: connect(INET, ("127.7.7.7", world["port"])),
    ipv6=lambda: connect(INET6, ("::1", world["port6"])),
    mapped=lambda: connect(INET6, ("::ffff:127.0.0.1", world["port"])),
    datagram=datagram,
    fast_open=fast_open,
    fast_open_message=fast_open_message,
    fast_open_connect=lambda: connect(INET, local, option=(socket.IPPROTO_TCP, 30, 1)),
    multipath=lambda: connect(INET, local, protocol=262),
    sctp=lambda: socket.socket(INET, socket.SOCK_STREAM, 132).close(),
    abstract=lambda: connect(UNIX, world["abstract"]),
    raw=lambda: socket.socket(INET, socket.SOCK_RAW, 1).close(),
    packets=lambda: socket.socket(17, socket.SOCK_RAW, 3).close(),
)
"""
PATHNAME = """
def connect(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)
found = worked(pathname=lambda: connect(world["pathname"]))
"""
INTERNET = """
def connect(family, address):
    with socket.socket(family) as one:
        one.settimeout(0.2)
        try:
            one.connect(address)
        except TimeoutError:  # it went out
            pass
def ask(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.connect(address)
found = worked(
    tcp=lambda: connect(socket.AF_INET, ("192.0.2.1", 9)),
    tcp6=lambda: connect(socket.AF_INET6, ("2001:db8::1", 9)),
    names=lambda: ask(socket.AF_INET, ("192.0.2.1", 53)),
)
"""
FAMILIES = """
def opens(family):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
            return True
        except OSError:
            pass
found = [family for family in range(64) if opens(family)]
"""
SEES = """
def sockets():
    with socket.socket(16, socket.SOCK_DGRAM, 4) as one:
        one.settimeout(2)
        body = struct.pack("=BBBBI", 2, 6, 0, 0, 1 << 10) + bytes(48)
        one.send(struct.pack("=IHHII", 16 + len(body), 20, 0x301, 0, 0) + body)
        return any(struct.pack(">H", world["port"]) in one.recv(1 << 17) for _ in range(1))
def table():
    with open("/proc/net/tcp") as table:
        return f":{world['port']:04X}" in table.read()
found = worked(netlink=sockets, table=table, interfaces=lambda: len(socket.if_nameindex()) > 1)
"""
PORTS = """
def take(port):
    held.append(socket.create_server(("127.0.0.1", port)))
held = []
found = worked(another=lambda: take(world["free"]), any=lambda: take(0))
"""

CASES = (
    Case(
        "connects-to-others",
        CONNECTS,
        Says([]),
    ),
    Case("connects-to-the-internet", INTERNET, Says([])),
    Case("tries-every-family-of-sockets", FAMILIES, Says([1, 2, 10, 16]), ruleset=Says([2, 10])),
    Case("sees-whose-sockets-there-are", SEES, Says([]), plain=Says(["netlink", "table", "interfaces"])),
    Case("takes-other-ports", PORTS, Says(["another", "any"]), ruleset=Says([]), plain=Says(["another", "any"])),
    Case("connects-to-a-socket-that-is-open-to-all", PATHNAME, Says([]), plain=Says(["pathname"])),
)
