# For clients: the server that they talk to, what is typed, and what they show.

import threading

# Every control character but TAB; surrogates stand for bytes that are no UTF-8.
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\udc80-\udcff]")
LINE_END = rb"(?:\x1b\[[0-9;?]*[ -/]*[@-~])*[ \t]*\r*\n"


class Host(Peer):
    """The server that the client talks to: a listening socket, and then the connection."""

    def __init__(self, host, port, receive_buffer, full):
        Peer.everyone.append(self)
        self.name, self.inbox, self.ended = "host", b"", ""
        self.listener = socket.socket()
        if receive_buffer:
            keep_buffers_small(self.listener, receive_buffer)
            host = address_like(host)
        self.listener.bind((host, port))
        self.listener.listen(0)
        self.filling = [socket.socket() for _ in range(2 if full else 0)]
        for sock in self.filling:  # a full accept queue: nobody else gets an answer
            sock.setblocking(False)
            sock.connect_ex(self.listener.getsockname())
        time.sleep(0.05)

    def accept(self):
        self.listener.settimeout(PATIENCE)
        try:
            self.socket, self.client_address = self.listener.accept()
        except OSError:
            raise Fault("the client does not connect") from None
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE)
        self.address = self.socket.getsockname()


class Client(Program):
    """The program under test."""

    def __init__(self, host, address, told):
        self.host, host.server = host, self
        words = [word.replace("{host}", address[0]).replace("{port}", str(address[1])) for word in COMMAND]
        if words == COMMAND and not told.get("defaults"):
            words += ["--host", address[0], "--port", str(address[1])]
        if "timeout" in told:
            words += ["--timeout", str(told["timeout"])]
        self.address, self.terminal = address, told.get("terminal", False)
        if self.terminal:
            mine, its = os.openpty()
            become = "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
            self.begin([sys.executable, "-c", f"import fcntl, os, sys, termios; {become}", *words], its, its)
            os.close(its)
            self.keyboard = self.screen = mine
        else:
            self.begin(words, subprocess.PIPE, subprocess.PIPE)
            self.keyboard, self.screen = self.process.stdin.fileno(), self.process.stdout.fileno()
        self.shown, self.place, self.heard = b"", 0, 0
        threading.Thread(target=self.look, daemon=True).start()

    def look(self):
        while True:
            try:
                data = os.read(self.screen, 65536)
            except OSError:
                data = b""
            if not data:
                return
            self.shown += data

    def side_of(self, address):
        """The client's side of the connection: (bytes unread, accepted)."""
        if not LINUX:
            time.sleep(0.02)
            return None
        for line in open("/proc/net/tcp").readlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{self.host.client_address[1]:04X}") and fields[2].endswith(f":{address[1]:04X}"):
                return int(fields[4].split(":")[1], 16), True
        return None

    def type(self, data):
        threading.Thread(target=self.write, args=(data,), daemon=True).start()
        time.sleep(0.05)

    def write(self, data):
        try:
            while data:
                data = data[os.write(self.keyboard, data[:65536]) :]
        except OSError:
            pass

    def type_until_stuck(self, unit):
        self.type(unit * ((4 << 20) // len(unit)))
        time.sleep(0.5)

    def end_input(self):
        time.sleep(0.1)
        if self.terminal:
            self.write(b"\x04")
        else:
            self.process.stdin.close()

    def interrupt(self):
        time.sleep(0.3)  # let it come to rest: Python sees a signal late that comes just before a blocking call
        if self.terminal:
            self.write(b"\x03")
        else:
            self.process.send_signal(signal.SIGINT)

    def wait_connecting(self):
        time.sleep(0.5)

    def wait_shown(self, pattern, what):
        deadline, before = time.monotonic() + PATIENCE, 0
        while not (match := re.compile(pattern, re.DOTALL).search(self.shown, self.place)):
            if len(self.shown) > before:
                deadline, before = time.monotonic() + PATIENCE, len(self.shown)
            if time.monotonic() > deadline:
                raise Fault(f"the client did not show {what[:200]!r}; it shows {self.shown[self.place :][-400:]!r}")
            time.sleep(0.01)
        self.place, self.heard = match.end(), len(self.printed(self.errors))
        return match

    def expect_shown(self, line):
        self.wait_shown(re.escape(line) + LINE_END, line)

    def expect_all_shown(self, lines):
        start = self.place
        self.expect_shown(lines[-1])
        for number, line in enumerate(lines, start=1):
            found = self.shown.find(line, start)
            if found < 0:
                raise Fault(f"the client did not show line {number} of {len(lines)}, {line!r}, in its place")
            start = found + len(line)

    def expect_shown_once(self, line):
        if self.shown.count(line) != 1:
            raise Fault(f"the client has shown {line!r} {self.shown.count(line)} times")

    def expect_shown_harmless(self, before, after):
        match = self.wait_shown(re.escape(before) + b"(.*?)" + re.escape(after), before + after)
        if CONTROL.search(match[1].decode("utf-8", errors="surrogateescape")):
            raise Fault(f"the client shows a control character as it came: {match[0]!r}")

    def expect_exit(self, statuses, within, not_before):
        began = time.monotonic()
        try:
            status = self.process.wait(within + 0.5)
        except subprocess.TimeoutExpired:
            raise Fault(f"the client is still running after {within + 0.5} seconds") from None
        if b"Traceback (most recent call last)" in self.printed(self.errors):
            raise Fault("it ended with a traceback")
        if status not in statuses:
            raise Fault(f"it ended with status {status}, not {' or '.join(map(str, statuses))}")
        if time.monotonic() - began < not_before:
            raise Fault(f"it ended after {time.monotonic() - began:.1f} seconds already")

    def expect_message(self, on_stderr):
        time.sleep(0.1)
        said = self.printed(self.errors)[self.heard :] + (b"" if on_stderr else self.shown[self.place :])
        if not re.search(rb"\S{2,}", said):
            raise Fault("the client ended without a message")

    def expect_threads(self, number):
        need_linux()
        threads = sum(len(os.listdir(f"/proc/{pid}/task")) for pid in self.processes())
        if threads < number:
            raise Fault(f"it has {threads} thread, not {number}")


def flood(first, last):
    """Numbered lines."""
    line = b"[12:00:00] [flood] line %d of a great many that come as fast as they can\n"
    return b"".join(line % number for number in range(first, last))


def invite(**told):
    """Listen, and start the client, which is told where; a `private` one finds its default address in use, perhaps."""
    told["defaults"] = told.get("defaults") or told.pop("private", False)
    port = 5555 if told["defaults"] else 0
    host = Host(told.get("host", "127.0.0.1"), port, told.get("receive_buffer"), told.get("full"))
    address = host.listener.getsockname()
    if told.get("nobody"):
        host.listener.close()
    return host, Client(host, address, told)
