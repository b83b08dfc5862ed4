# For chats: clients that register, and read lines of the form [HH:MM:SS] [SOURCE] TEXT.

NAME = "[A-Za-z][A-Za-z0-9_-]{0,15}"
FORM = re.compile(rf"\[(\d\d:\d\d:\d\d)\] \[(SERVER|ERROR|(?:PRIVATE (?:FROM|TO) )?{NAME})\] (.*)", re.DOTALL)
CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f]")
EVENTS = re.compile(r"\b(Welcome|joined|left|is now|Goodbye)\b|Connected users \(")
LISTED = "Connected users ("
LINE = 1000  # bytes of text in a line of a flood


def has(text, *words):
    return all(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for word in words)


class Guest(Peer):
    """A client of the chat."""

    asked = False
    nameless = True
    said = ""
    chatty = True  # whether further SERVER lines may follow a welcome or a refusal

    def say(self, line):
        data = line if isinstance(line, bytes) else line.encode()
        self.said = data.decode(errors="replace").strip()
        self.send(data + b"\n")

    def register(self, name):
        if not self.asked:
            self.expect_prompt()
        self.say(name)
        self.expect_welcome(name)

    def next_line(self, due):
        """The next line, as (time, source, text)."""
        raw = self.take_line(due).decode("utf-8", "backslashreplace")
        form = FORM.fullmatch(raw)
        if form is None or CONTROL.search(form[3]):
            raise Fault(f"{self.name} got {raw!r}, which has not the form of a line, or a control character in it")
        return form.groups()

    def event(self, due):
        """The next line that is no chatter."""
        while True:
            line = self.next_line(due)
            if line[1] != "SERVER" or not self.may_overlook(line[2]):
                return line

    def may_overlook(self, text):
        if self.nameless:
            asked, self.asked = self.asked, self.asked or has(text, "username")
            if not asked or "username" in text:  # what the server says before it asks for a name is free
                return True
            if "Welcome" in text:  # to the room, perhaps
                return self.said not in text
        return self.chatty and not EVENTS.search(text)

    def expect_event(self, due, fits):
        line = self.event(due)
        if not fits(line[1], line[2]):
            raise Fault(f"{self.name} expected {due}, and got [{line[0]}] [{line[1]}] {line[2]}"[:400])

    def expect_prompt(self):
        while True:
            stamp, source, text = self.next_line("[SERVER] ... username ...")
            if source != "SERVER":
                raise Fault(f"{self.name} expected to be asked for a username, and got {text!r}")
            if has(text, "username"):
                self.asked = True
                return stamp

    def expect_prompt_now(self, since):
        self.expect_made_since(since, self.expect_prompt())

    def expect_welcome_now(self, name, since):
        self.expect_made_since(since, self.expect_welcome(name))

    def expect_made_since(self, since, stamp):
        seconds = range(int(since - 0.5), int(time.time() + 0.05) + 1)
        if stamp not in [time.strftime("%H:%M:%S", time.localtime(second)) for second in seconds]:
            raise Fault(f"{self.name} got a line of {stamp}, and it is {time.strftime('%H:%M:%S')}")

    def expect_welcome(self, name):
        while True:
            stamp, source, text = self.next_line(f"[SERVER] ... Welcome ... {name} ...")
            if source != "SERVER":
                raise Fault(f"{self.name} expected to be welcomed as {name}, and got [{source}] {text}")
            if has(text, "Welcome", name):
                self.asked = self.chatty = True
                self.nameless = False
                return stamp

    def expect_text(self, wanted, text):
        self.expect_event(f"[{wanted}] {text}"[:200], lambda *got: got == (wanted, text))

    def expect_message(self, sender, text):
        self.expect_text(sender, text)

    def expect_messages(self, sender, word, number):
        for count in range(number):
            self.expect_message(sender, f"{word} {count}")

    def expect_private_from(self, sender, text):
        self.expect_text(f"PRIVATE FROM {sender}", text)

    def expect_private_to(self, recipient, text):
        self.expect_text(f"PRIVATE TO {recipient}", text)
        self.chatty = False

    def expect_in_any_order(self, *lines):
        missing = list(lines)
        while missing:
            _, source, text = self.next_line(" or ".join(missing))
            if f"[{source}] {text}" in missing:
                missing.remove(f"[{source}] {text}")
            elif source != "SERVER":
                raise Fault(f"{self.name} expected {' or '.join(missing)}, and got [{source}] {text}")

    def expect_notice(self, *words):
        due = f"[SERVER] ... {' ... '.join(words)} ..."
        self.expect_event(due, lambda source, text: source == "SERVER" and has(text, *words))

    def expect_joined(self, name):
        self.expect_notice(name, "joined")

    def expect_left(self, name):
        self.expect_notice(name, "left")

    def expect_departures(self, *names):
        missing = list(names)
        while missing:
            _, source, text = self.event(f"{' or '.join(missing)} left")
            gone = [name for name in missing if has(text, name, "left")]
            if source == "SERVER" and gone:
                missing.remove(gone[0])
            elif source not in missing:
                raise Fault(f"{self.name} expected that {' or '.join(missing)} left, and got [{source}] {text}")

    def expect_renamed(self, old, new):
        pattern = rf"(?<![\w-]){old}(?![\w-]).*\bis now\b.*(?<![\w-]){new}(?![\w-])"
        due = f"[SERVER] ... {old} ... is now ... {new} ..."
        self.expect_event(due, lambda source, text: source == "SERVER" and re.search(pattern, text))

    def expect_refusal(self, codes, about=""):
        codes = (codes,) if isinstance(codes, str) else codes

        def fits(source, text):
            code, colon, rest = text.partition(":")
            return source == "ERROR" and code in codes and colon and about in rest

        self.expect_event(f"[ERROR] {' or '.join(codes)}: ... {about} ...", fits)
        self.asked = self.chatty = True

    def expect_answer_of_list(self, *names):
        self.expect_text("SERVER", f"{LISTED}{len(names)}): {', '.join(names)}")
        self.chatty = False

    def expect_list(self, *names):
        self.say("/list")
        self.expect_answer_of_list(*names)

    def expect_silence(self):
        self.say("/list")
        self.expect_event("nothing but the answer to /list", lambda source, text: text.startswith(LISTED))
        self.chatty = False

    def heard(self):
        """All lines up to the answer to a /list."""
        self.say("/list")
        found = [self.next_line("[SERVER] Connected users (N): ...")]
        while not (found[-1][1] == "SERVER" and found[-1][2].startswith(LISTED)):
            found.append(self.next_line("[SERVER] Connected users (N): ..."))
        self.chatty = False
        return found

    def expect_unheard(self, *words):
        for _, _, text in self.heard():
            if any(word in text for word in words):
                raise Fault(f"{self.name} got {text!r}, where nothing with {' or '.join(words)} was due")

    def expect_help(self, words):
        told = self.heard()[:-1]
        if not all(source == "SERVER" for _, source, _ in told):
            raise Fault(f"{self.name} expected lines of the SERVER alone, and got {told}")
        for word in words:
            if not re.search(rf"{re.escape(word)}(?![\w-])", "\n".join(text for _, _, text in told)):
                raise Fault(f"{self.name} expected a line with {word}, and got {told}")

    def expect_at_most_usage(self):
        for _, source, text in self.heard():
            if source == "ERROR" and not text.startswith("usage:"):
                raise Fault(f"{self.name} got {text!r}")

    def wait_until_gone(self, name):
        deadline = time.monotonic() + PATIENCE
        while has(self.heard()[-1][2], name):
            if time.monotonic() > deadline:
                raise Fault(f"{name} has gone, and is still listed")

    def expect_goodbye(self):
        self.expect_notice("Goodbye")
        self.expect_closed()

    def expect_goodbye_after_usage(self):
        _, source, text = self.event("[SERVER] ... Goodbye ...")
        if source == "ERROR" and text.startswith("usage:"):
            _, source, text = self.event("[SERVER] ... Goodbye ...")
        if source != "SERVER" or not has(text, "Goodbye"):
            raise Fault(f"{self.name} expected a Goodbye, and got [{source}] {text}")
        self.expect_closed()

    def expect_closed(self):
        self.expect_gone()
        *lines, rest = self.inbox.split(b"\n")
        for raw in [*lines, rest] if rest else lines:
            form = FORM.fullmatch(raw.decode("utf-8", "backslashreplace"))
            if form is None or form[2] != "SERVER" or not self.may_overlook(form[3]) or raw is rest:
                raise Fault(f"{self.name} got {raw[:200]!r}, where the connection should end")


def visit(name, receive_buffer=None):
    return Guest(name, receive_buffer)


def join(name, *others, receive_buffer=None):
    guest = visit(name, receive_buffer)
    guest.register(name)
    for other in others:
        other.expect_joined(name)
    return guest


def company(*names):
    guests = []
    for name in names:
        guests.append(join(name, *guests))
    for guest in guests:
        guest.expect_silence()
    return guests


class Multitude:
    """Thousands of clients who are asked for a name, and give none."""

    def __init__(self):
        self.sockets = []

    def come(self, number):
        server = Server.everyone[-1]
        for _ in range(number):
            sock = socket.socket()
            self.sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.settimeout(PATIENCE)
            told = b""
            try:
                sock.connect((server.host, server.port))
                while not re.search(rb"\[SERVER\] [^\n]*username[^\n]*\n$", told):
                    told += sock.recv(4096) or self.miss(told, "its connection has ended")
            except OSError as error:
                self.miss(told, error)

    def miss(self, told, error):
        raise Fault(f"client {len(self.sockets)} was not asked for a username, but got {told!r} ({error})")

    def expect_undisturbed(self):
        for number, sock in enumerate(self.sockets, 1):
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                told = sock.recv(4096)
                if not told or any(b"username" not in line for line in told.splitlines()):
                    raise Fault(f"client {number} is silent and has no name, and got {told or 'an end'!r}")

    def vanish(self):
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()


@contextlib.contextmanager
def multitude(number):
    raise_limits(number + 300)
    crowd = Multitude()
    yield crowd
    crowd.vanish()


def flood(sender, first, lines):
    """Lines of a thousand bytes, with numbers."""
    sender.send(b"".join(b"%06d %s\n" % (number, b"x" * LINE) for number in range(first, first + lines)))


def expect_flood(guest, sender, first, end):
    for number in range(first, end):
        guest.expect_message(sender, f"{number:06d} {'x' * LINE}")


def flood_until_left(sender, guest):
    number, server = 0, guest.server
    while number < 12_000:
        lines = 6 if 1000 < number < 1300 else 64
        flood(sender, number, lines)
        number += lines
        sender.wait_eaten()
        time.sleep(0.01)  # for what it does with it
        row = server.row_of(guest.address)
        if row and row[3] not in ("01", "08"):  # it is closed: the notice must not wait until somebody acts
            sender.expect_left(guest.name)
            return
        if any(has(text, guest.name, "left") for _, _, text in sender.heard()):
            return
    raise Fault(f"{guest.name} has read nothing of 12 MB, and is still a member")


def expect_beginning_of_flood(guest, sender):
    while guest.receive():
        pass
    lines = guest.inbox.split(b"\n")[:-1]
    while lines and b"] [SERVER] " in lines[0][:20]:  # what follows a welcome is free
        del lines[0]
    for number, line in enumerate(lines):
        if not line.endswith(b"[%s] %06d %s" % (sender.encode(), number, b"x" * LINE)):
            raise Fault(f"{guest.name} got {line[:80]!r} where number {number} was due")


def everyone_talks(talkers, rounds, lines):
    """All talk at once, some listen slowly, others come and go; each hears all others exactly."""
    form = re.compile(rb"\[\d\d:\d\d:\d\d\] \[(\w+)\] (\w+) says number (\d+) x{120}\.")
    guests = [visit(f"talker{number:02d}") for number in range(talkers)]
    guests += [visit(f"listener{number}", 4096) for number in range(5)]
    for guest in guests:
        guest.register(guest.name)
    for guest in guests:
        guest.heard()
    heard = {guest: {} for guest in guests}
    for turn in range(rounds):
        numbers = range(turn * lines, (turn + 1) * lines)
        guests[0].server.freeze()
        for guest in guests[:talkers]:
            words = [f"{guest.name} says number {number} {'x' * 120}.\n" for number in numbers]
            guest.send("".join(words).encode())
        passing = [visit(f"passer{turn}{number}") for number in range(8)]
        for guest in passing:
            guest.say(guest.name)
        guests[0].server.thaw()
        waiting = {guest.socket: guest for guest in guests}
        while waiting:
            ready = select.select(list(waiting), [], [], PATIENCE)[0]
            if not ready:
                raise Fault(f"{len(waiting)} clients wait in vain for what the others said")
            for sock in ready:
                guest = waiting[sock]
                if not guest.receive():
                    raise Fault(f"{guest.name}'s connection has ended")
                *whole, guest.inbox = guest.inbox.split(b"\n")
                for line in whole:
                    said = form.fullmatch(line)
                    if said is None and b"] [SERVER] " in line[:21] and b"passer" in line:
                        continue
                    name, number = (said[1], int(said[3])) if said else (b"", -1)
                    if not said or said[2] != name or name == guest.name.encode():
                        raise Fault(f"{guest.name} got {line[:400]!r}")
                    if number != heard[guest].get(name, 0):
                        raise Fault(f"{guest.name} got number {number} of {name.decode()} out of its turn, or twice")
                    heard[guest][name] = number + 1
                others = [other.name.encode() for other in guests[:talkers] if other is not guest]
                if all(heard[guest].get(name, 0) == numbers.stop for name in others):
                    del waiting[sock]
        for guest in passing:
            guest.expect_through(b"Welcome", guest.name.encode())
            guest.close()
