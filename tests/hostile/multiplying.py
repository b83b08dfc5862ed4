"""Programs that become many, or leave somebody behind."""

from hostile.case import Case, Ends, Hangs, Says

FORK_BOMB = """
def multiply(depth):
    for _ in range(9 if depth else 0):
        while True:
            try:
                pid = os.fork()
            except OSError:
                time.sleep(0.01)
                continue
            break
        if pid == 0:
            return multiply(depth - 1)
multiply({depth})
time.sleep(60)
"""
THREAD_BOMB = """
threading.stack_size(1 << 16)
for _ in range(600):
    try:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    except RuntimeError:
        time.sleep(0.01)
time.sleep(60)
"""
ZOMBIES = """
for _ in range(2000):
    try:
        in_child(lambda: None)
    except OSError:
        time.sleep(0.01)
time.sleep(60)
"""
RELAY = """
print("goes", flush=True)
end = time.monotonic() + 30
while time.monotonic() < end:
    try:
        if os.fork():
            os._exit(0)
        os.setsid()
    except OSError:
        pass
"""
DAEMON = """
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
found = "serves"
"""
CROWD = """
def stay(number):
    for each in range(1, 65):
        try:
            signal.signal(each, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    if number % 2:
        os.setsid()
    time.sleep(60)
found = len([in_child(stay, number) for number in range(12)])
"""
CULLS = """
import random
children = [in_child(time.sleep, 60) for _ in range(12)]
random.shuffle(children)
for child in children[:8]:
    os.kill(child, signal.SIGKILL)
found = sum(os.waitpid(child, 0)[1] for child in children[:8])
"""
STOPS = "print('stops', flush=True)\nos.kill(os.getpid(), signal.SIGSTOP)"
STOPPED_CHILDREN = """
children = [in_child(time.sleep, 60) for _ in range(5)]
for child in children:
    os.kill(child, signal.SIGSTOP)
found = len([os.waitpid(child, os.WUNTRACED) for child in children])
"""
DEAF = """
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
found = "deaf"
"""
RENAMES_BY_CALL = """
libc.prctl(15, b") Z 1 1 (x", 0, 0, 0)
in_child(time.sleep, 60)
found = open("/bin/true", "rb").read(4)
"""
LEADERLESS = """
def serve():
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            with listener.accept()[0] as connection:
                connection.sendall(repr("serves").encode())
threading.Thread(target=serve).start()
call("exit", 0)
"""

CASES = (
    Case(
        "fork-bomb",
        FORK_BOMB.format(depth=2),
        Ends("more than 60 processes and threads", "processes"),
        limits={"processes": 60},
    ),
    Case("thread-bomb", THREAD_BOMB, Ends("more than 100 processes", "processes"), limits={"processes": 100}),
    Case("zombies", ZOMBIES, Ends("more than 100 processes", "processes"), limits={"processes": 100}),
    Case("hands-over-without-end", RELAY, Hangs()),
    Case("daemon-with-the-port", DAEMON, Says("serves"), plain=Says("serves")),
    Case("daemon-without-environment", DAEMON + "os.environ.clear()", Says("serves"), plain=Says("serves")),
    Case("children-that-ignore-all-signals", CROWD, Says(12), plain=Says(12)),
    Case("kills-its-children", CULLS, Says(72), plain=Says(72)),
    Case("stops-itself", STOPS, Hangs(), plain=Hangs()),
    Case("stopped-children", STOPPED_CHILDREN, Says(5), plain=Says(5)),
    Case(
        "ignores-sigterm",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); found = 'deaf'",
        Says("deaf"),
        plain=Says("deaf"),
    ),
    Case("ignores-all-signals", DEAF, Says("deaf"), plain=Says("deaf")),
    Case("takes-a-misleading-name", RENAMES_BY_CALL, Says(b"\x7fELF"), plain=Says(b"\x7fELF")),
    Case("first-thread-has-ended", LEADERLESS, Says("serves"), plain=Says("serves")),
)
