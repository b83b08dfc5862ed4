# What the dialogue above is written with. Standard library only; nothing of the kit is needed.

import base64  # noqa: F401  (for long payloads)
import contextlib
import os
import random
import re
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib  # noqa: F401  (for long payloads)

LINUX = sys.platform == "linux"
PATIENCE = 5.0  # seconds


class Fault(Exception):
    """The fault shows."""


def need_linux():
    if not LINUX:
        raise Fault("what a program holds and uses shows on Linux alone (/proc): make the check again instead")


def pattern(length):
    """Bytes that count: each group of nine names its own place."""
    return b"".join(b"%08x " % offset for offset in range(0, length, 9))[:length]


def keep_buffers_small(sock, receive_buffer):
    """Segments as on an Ethernet, so that the peer's buffer for us stays small, too."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if LINUX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)


def address_like(host):
    """An address of our own on the loopback: Linux gives large buffers where it remembers much traffic."""
    if not LINUX or not host.startswith("127."):
        return host
    return ".".join(["127", *(str(random.randint(1, 254)) for _ in range(3))])


def listening(pids):
    """The addresses on which the processes listen, as /proc/net/tcp shows them."""
    inodes = set()
    for pid in pids:
        try:
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                inodes.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
        except OSError:  # it has ended, or closed that descriptor, just now
            pass
    found = set()
    for line in open(f"/proc/{pids[0]}/net/tcp").readlines()[1:]:
        fields = line.split()
        if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
            host, port = fields[1].split(":")
            found.add((socket.inet_ntoa(struct.pack("=I", int(host, 16))), int(port, 16)))
    return found


class Program:
    """The program under test, in a process of its own."""

    everyone = []

    def begin(self, words, stdin, stdout=None):
        self.log = tempfile.TemporaryFile()
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            words,
            stdin=stdin,
            stdout=stdout or self.log,
            stderr=self.errors,
            start_new_session=True,
            cwd=FOLDER,
            env=os.environ | {"PYTHONUNBUFFERED": ""},  # a program has to flush by itself
        )
        self.pid = self.process.pid
        Program.everyone.append(self)

    @staticmethod
    def printed(stream):
        if hasattr(os, "pread"):
            return os.pread(stream.fileno(), 1 << 16, 0)
        end = stream.seek(0, os.SEEK_CUR)  # Windows: the program writes there
        stream.seek(0)
        text = stream.read()
        stream.seek(end)
        return text

    def processes(self):
        found = [self.pid]
        for pid in found if LINUX else []:
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    found += map(int, open(f"/proc/{pid}/task/{task}/children").read().split())
            except OSError:
                pass
        return found

    def settle(self):
        time.sleep(0.3)

    def kill(self):
        for pid in self.processes():
            try:
                os.kill(pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # the latter on Windows
            except OSError:
                pass
        self.process.wait()

    def runnable_seconds(self):
        need_linux()
        total = 0
        for pid in self.processes():
            for task in os.listdir(f"/proc/{pid}/task"):
                total += sum(map(int, open(f"/proc/{pid}/task/{task}/schedstat").read().split()[:2]))
        return total / 1e9

    def expect_idle(self):
        before = self.runnable_seconds()
        time.sleep(1)
        share = self.runnable_seconds() - before
        if share >= 0.3:
            raise Fault(f"it spins: {100 * share:.0f} % of a processor, though there is nothing to do")

    def expect_running(self, seconds=1):
        try:
            raise Fault(f"it ended, with status {self.process.wait(seconds)}")
        except subprocess.TimeoutExpired:
            pass


class Server(Program):
    """A server under test."""

    def __init__(self, host="127.0.0.1", port=None, defaults=False):
        if port is None:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                port = probe.getsockname()[1]
        words = [word.replace("{host}", host).replace("{port}", str(port)) for word in COMMAND]
        if not defaults and words == COMMAND:
            words += ["--host", host, "--port", str(port)]
        self.host, self.port = host, port
        self.begin(words, subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            if self.process.poll() is not None:
                raise Fault(f"it does not listen: it exited with status {self.process.returncode}")
            if LINUX:
                for found_host, found_port in listening(self.processes()):
                    if port in (0, found_port):
                        self.port, self.listens_on = found_port, (found_host, found_port)
                        return
            elif b"listening on" in self.printed(self.log):
                self.listens_on = (host, port)
                return
            if time.monotonic() > deadline:
                raise Fault(f"it does not listen on {host}:{port}")
            time.sleep(0.01)

    def side_of(self, address):
        """The server's side of a connection: (bytes unread, accepted), or None."""
        if not LINUX:
            time.sleep(0.02)
        fields = self.row_of(address)
        if fields is None:
            return None
        self.unsent = int(fields[4].split(":")[0], 16)
        return int(fields[4].split(":")[1], 16), fields[9] != "0"

    def row_of(self, address):
        """The server's side of a connection as /proc/net/tcp shows it (proc_pid_net(5)), or None."""
        word = "%08X" % struct.unpack("=I", socket.inet_aton(address[0]))
        for table in ("tcp", "tcp6") if LINUX else ():
            for line in open(f"/proc/net/{table}").readlines()[1:]:
                fields = line.split()
                if fields[2].endswith(f"{word}:{address[1]:04X}") and fields[1].endswith(f":{self.port:04X}"):
                    return fields
        return None

    def expect_let_go(self, peer):
        deadline = time.monotonic() + 2
        while (fields := self.row_of(peer.address)) and fields[3] in ("01", "08"):  # ESTABLISHED, CLOSE_WAIT
            if time.monotonic() > deadline:
                raise Fault(f"it has not closed {peer.name}'s connection within 2 s")
            time.sleep(0.01)

    def freeze(self):
        for pid in self.processes() if hasattr(signal, "SIGSTOP") else []:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.05)

    def thaw(self):
        for pid in self.processes() if hasattr(signal, "SIGCONT") else []:
            os.kill(pid, signal.SIGCONT)

    def expect_first_line(self):
        host, port = self.listens_on
        time.sleep(0.3)
        line = self.printed(self.log).partition(b"\n")[0].decode(errors="replace")
        if line != f"listening on {host}:{port}":
            raise Fault(f"its first line of output is {line!r}, not 'listening on {host}:{port}'")

    def expect_listening_only_on(self, host):
        if LINUX and listening(self.processes()) != {(host, self.port)}:
            raise Fault(f"it listens on {sorted(listening(self.processes()))}, not on {host}:{self.port} alone")

    def held(self):
        """How many descriptors, threads and processes, and how much memory, it has now."""
        need_linux()
        descriptors = threads = memory = 0
        pids = self.processes()
        for pid in pids:
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
            threads += len(os.listdir(f"/proc/{pid}/task"))
            memory += int(re.search(r"Pss: +(\d+)", open(f"/proc/{pid}/smaps_rollup").read())[1]) * 1024
        return {"descriptors": descriptors, "threads": threads, "processes": len(pids), "memory": memory}

    def expect_released(self, before, clients):
        def kept():
            now = self.held()
            return [f"{now[what] - before[what]} more {what}" for what in list(now)[:3] if now[what] - before[what] > 5]

        deadline = time.monotonic() + PATIENCE
        while kept() and time.monotonic() < deadline:
            time.sleep(0.05)
        if kept():
            raise Fault(f"after {clients} more clients that are gone it keeps {', '.join(kept())}")

    def expect_thread_for_each(self, before, clients):
        time.sleep(0.2)
        more = self.held()["threads"] - before["threads"]
        if more < clients:
            raise Fault(f"with {clients} clients more it has {more} threads more")

    def expect_no_thread_more(self, before, clients):
        now = self.held()
        for what in ("threads", "processes"):
            if now[what] > before[what]:
                raise Fault(f"with {clients} clients more it has {now[what] - before[what]} more {what}")

    def expect_little_kept(self, peer, before):
        """What a client has sent, and what is in none of the four queues of the kernels, the program keeps."""
        if not LINUX:
            return
        import fcntl
        import termios

        time.sleep(0.3)
        side = self.side_of(peer.address)
        queues = [termios.TIOCOUTQ, termios.FIONREAD]
        ours = sum(struct.unpack("i", fcntl.ioctl(peer.socket, queue, bytes(4)))[0] for queue in queues)
        kept = peer.stuck_at - ours - (side[0] + self.unsent if side else 0)
        if kept > 2 << 20:
            raise Fault(f"it keeps {kept >> 20} MiB for {peer.name}, who does not read")

    def limit_descriptors(self, spare):
        import resource

        for pid in self.processes():
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (self.held()["descriptors"] + spare, hard))

    def expect_bounded_memory(self, peer, unit, times):
        before, began, sent = self.held()["memory"], time.monotonic(), 0
        while sent < times * len(unit) and time.monotonic() - began < 3:
            peer.send(unit)
            sent += len(unit)
        peer.wait_eaten(60)
        grown = self.held()["memory"] - before
        if grown > max(4 << 20, sent * 3 // 4):
            raise Fault(f"it uses {grown >> 20} MiB more memory after {sent >> 20} MiB without a line's end")

    def expect_stop(self, name):
        time.sleep(0.1)  # let it come to rest: Python sees a signal late that comes just before a blocking call
        self.process.send_signal(getattr(signal, name))
        deadline = time.monotonic() + 2
        while any(os.path.exists(f"/proc/{pid}") for pid in self.processes()) and self.process.poll() is None:
            if time.monotonic() > deadline:
                raise Fault(f"it is still running 2 seconds after {name}")
            time.sleep(0.02)
        if b"Traceback (most recent call last)" in self.printed(self.errors):
            raise Fault(f"it ended with a traceback after {name}")

    def serve_in_turn(self, number, question, answer):
        for _ in range(number):
            peer = connect("bob")
            peer.ask(question)
            peer.expect_answer(answer)
            peer.close()

    def serve_crowd(self, number, question, answer):
        self.freeze()
        crowd = [connect(f"client{turn + 1}") for turn in range(number)]
        for peer in crowd:
            peer.ask(question)
        self.thaw()
        self.settle()
        for peer in crowd:
            peer.expect_answer(answer)
            peer.half_close()

    def come_and_go(self, clients, seed, question, answer):
        """Clients that come, most of them talk, and all of them leave: by an end, by a reset."""
        chance = random.Random(seed)
        for turn in range(clients):
            peer = connect(f"client{turn + 1}")
            way = chance.choice(("end", "reset", "close"))
            if way != "close":
                peer.ask(question)
                peer.expect_answer(answer)
            peer.reset() if way == "reset" else peer.close()


class Peer:
    """A client."""

    everyone = []
    asked = 0  # how often the smallest question of the service was asked

    def __init__(self, name, receive_buffer=None):
        Peer.everyone.append(self)  # a connection is closed when its socket is forgotten
        self.name, self.server, self.inbox, self.ended = name, Server.everyone[-1], b"", ""
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            keep_buffers_small(self.socket, receive_buffer)
            self.socket.bind((address_like(self.server.host), 0))
        self.socket.settimeout(PATIENCE)
        self.try_to("connect", lambda: self.socket.connect((self.server.host, self.server.port)))
        self.address = self.socket.getsockname()

    def try_to(self, what, call):
        try:
            return call()
        except OSError as error:
            raise Fault(f"{self.name} could not {what}: {error}") from None

    def send(self, data, chunks=None):
        for size in chunks or [len(data)]:
            piece, data = data[:size], data[size:]
            self.try_to("send", lambda piece=piece: self.socket.sendall(piece))
            if chunks:
                self.wait_eaten()

    def ask(self, question):
        """The smallest question of this service; a name in it gets a number of its own."""
        self.named = b"%d" in question
        Peer.asked += 1
        self.send(question % Peer.asked if self.named else question)

    def expect_answer(self, answer):
        self.expect_through(answer) if self.named else self.expect(answer)

    def expect_through(self, *words):
        while True:
            line = self.take_line(f"a line with {b' and '.join(words).decode()}")
            if all(word in line for word in words):
                return

    def take_line(self, due):
        while b"\n" not in self.inbox and self.receive():
            pass
        if b"\n" not in self.inbox:
            raise Fault(f"{self.name} expected {due} and got {self.inbox[:200]!r} {self.ended}")
        line, _, self.inbox = self.inbox.partition(b"\n")
        return line

    def send_until_stuck(self, unit, limit=16 << 20):
        self.socket.settimeout(0.05)
        self.stuck_at = 0
        try:
            while self.stuck_at < limit:
                self.stuck_at += self.socket.send(unit[self.stuck_at % len(unit) :])
        except TimeoutError:
            pass
        except OSError as error:
            raise Fault(f"{self.name} could not send: {error}") from None
        self.socket.settimeout(PATIENCE)

    def trickle_until_stuck(self, unit, limit):
        for _ in range(limit // len(unit)):
            self.try_to("send", lambda: self.socket.sendall(unit))
            try:
                self.wait_eaten(0.05)
            except Fault:
                return

    def expect_all_back(self, unit):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        data = (unit * (self.stuck_at // len(unit) + 1))[: self.stuck_at]
        parts, length = [self.inbox], len(self.inbox)
        while length < len(data):
            self.inbox = b""
            if not self.receive():
                raise Fault(f"{self.name} got only {length} of {len(data)} bytes {self.ended}")
            parts.append(self.inbox)
            length += len(self.inbox)
        self.inbox = b"".join(parts)
        self.expect(data)

    def exchange(self, data):
        self.socket.setblocking(False)
        rest, wanted = memoryview(data), len(data)
        while rest:
            readable, writable, _ = select.select([self.socket], [self.socket], [], PATIENCE)
            if not readable and not writable:
                break
            if writable:
                rest = rest[self.try_to("send", lambda rest=rest: self.socket.send(rest)) :]
            if readable and not self.receive():
                break
        self.socket.settimeout(PATIENCE)
        self.expect(data[:wanted])

    def wait_eaten(self, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while (side := self.server.side_of(self.address)) and side != (0, True) and not self.is_over():
            if time.monotonic() > deadline:
                raise Fault(f"the server does not read what {self.name} sends")
            time.sleep(0.001)

    def wait_stuck(self):
        time.sleep(1)  # a send queue grows, little by little, after each probe of a closed window: 0.2 s, 0.4 s ...

    def is_over(self):
        self.socket.setblocking(False)
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except OSError as error:
            return not isinstance(error, BlockingIOError)
        finally:
            self.socket.settimeout(PATIENCE)

    def wait_accepted(self):
        deadline = time.monotonic() + PATIENCE
        while (side := self.server.side_of(self.address)) and not side[1]:
            if time.monotonic() > deadline:
                raise Fault(f"the server does not accept {self.name}")
            time.sleep(0.001)

    def half_close(self):
        self.try_to("end its stream", lambda: self.socket.shutdown(socket.SHUT_WR))

    def close(self):
        self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def receive(self, most=1 << 20):
        """Take what has arrived; False at the end of the stream or after the time-out."""
        try:
            data = self.socket.recv(most)
        except TimeoutError:
            return False
        except OSError:
            data, self.ended = b"", "reset"
        self.inbox += data
        self.ended = self.ended or ("" if data else "end")
        return bool(data)

    def expect(self, data):
        while len(self.inbox) < len(data) and data.startswith(self.inbox) and self.receive():
            pass
        if not self.inbox.startswith(data):
            raise Fault(f"{self.name} expected {data[:200]!r} and got {self.inbox[:200]!r} {self.ended}")
        self.inbox = self.inbox[len(data) :]

    def expect_slowly(self, data, piece, pause):
        while len(self.inbox) < len(data) and self.receive(piece):
            time.sleep(pause)
        self.expect(data)

    def expect_line(self, regex, words):
        line = self.take_line(words)
        if not re.fullmatch(regex, line, re.DOTALL):
            raise Fault(f"{self.name} expected {words} and got {line!r}")

    def expect_end(self):
        while not self.inbox and self.receive():
            pass
        if self.inbox or self.ended != "end":
            raise Fault(f"{self.name} expected the end of the stream and got {self.inbox[:200]!r} {self.ended}")

    def expect_no_more(self):
        while not self.inbox and self.receive():
            pass
        if self.inbox:
            raise Fault(f"{self.name} got {self.inbox[:200]!r}, which it did not send")

    def expect_gone(self):
        while self.receive():
            pass
        if not self.ended:
            raise Fault(f"{self.name}'s connection is still open")

    def expect_connected(self):
        self.socket.settimeout(0.05)
        while self.receive():
            pass
        if self.ended:
            raise Fault(f"{self.name}'s connection was ended")
        self.socket.settimeout(PATIENCE)

    def expect_nothing_so_far(self):
        self.socket.setblocking(False)
        try:
            if self.socket.recv(1, socket.MSG_PEEK) or True:
                raise Fault(f"{self.name} got something where nothing was due")
        except BlockingIOError:
            self.socket.settimeout(PATIENCE)


def start(*told):
    return Server(*told)


def start_again(server):
    return Server(server.host, server.port)


def connect(name, receive_buffer=None):
    return Peer(name, receive_buffer)


def raise_limits(descriptors):
    """Let the server and ourselves have so many."""
    import resource

    for pid in [0, *Server.everyone[-1].processes()]:
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors, hard))


@contextlib.contextmanager
def crowd(number, raising_limits):
    """Clients that say nothing; no more of them come once the server leaves some waiting."""
    if raising_limits:
        raise_limits(number + 300)
    server, clients = Server.everyone[-1], []
    for turn in range(number):
        clients.append(socket.socket())
        clients[-1].setblocking(False)
        clients[-1].connect_ex((server.host, server.port))
        if turn % 50 == 49:
            time.sleep(0.1)
            side = server.side_of(clients[-1].getsockname())
            if side and not side[1]:
                break
    yield
    for client in clients:
        client.close()


@contextlib.contextmanager
def refusal_allowed(peer):
    """Whatever the server refuses by closing the connection."""
    try:
        yield
    except Fault:
        if not peer.ended:
            raise


def main():
    global COMMAND, FOLDER
    if len(sys.argv) > 1:
        COMMAND, FOLDER = shlex.split(shlex.join(sys.argv[1:])), None
    print("The program:", shlex.join(COMMAND))
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # by a shell, for a command that ends in &
        signal.signal(signal.SIGINT, signal.default_int_handler)  # or the program would ignore it, too
    try:
        dialogue()
    except Fault as fault:
        print("The fault shows:", fault)
        return 1
    finally:
        for program in Program.everyone:
            program.kill()
            error = program.printed(program.errors).decode(errors="replace").strip()
            if error:
                print("It printed on standard error:", error, sep="\n")
    print("The fault does not show any more.")
    return 0
