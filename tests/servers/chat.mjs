// A chat in JavaScript (Node): one thread, callbacks.
//
// Peculiar: what a client is owed waits in a list of the server's own, and Node is given one small piece of it at a
// time, so that it is known to the byte what is unsent; a piece read is carried out in slices, with everybody's turn
// between them; a line is refused the moment it is too long; whispers to oneself are refused as `usage`; at the limit
// of descriptors Node accepts and closes.
//
//     node chat.mjs [--host HOST] [--port PORT]

import net from "node:net";
import { parseArgs } from "node:util";

const MAX_LINE = 4096; // bytes, the LF and the CR before it not counted
const LIMIT = 1024 * 1024; // bytes unsent with which a client still stays
const PIECE = 16 * 1024; // bytes given to Node at a time
const SLICE = 4096; // bytes carried out before the others' turn
const LAST_WORDS = 1000; // milliseconds from /exit to the close, if the client does not close first
const CR = 0x0d;
const LF = 0x0a;

const { values: args } = parseArgs({
  options: { host: { type: "string", default: "127.0.0.1" }, port: { type: "string", default: "5555" } },
});

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const clients = new Set();
const members = new Map(); // by lower-cased name

/** A line of the protocol, as bytes. */
function made(source, text) {
  const now = new Date();
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
  return Buffer.from(`[${time}] [${source}] ${text}\n`);
}

/** Send a line to all members but one. */
function tellAll(source, text, except) {
  const data = made(source, text);
  for (const member of [...members.values()]) if (member !== except) member.put(data);
}

class Client {
  name = null;
  waiting = false; // there are slices that are not carried out
  noMore = false; // and nothing will come after them
  ended = false; // nothing that it sends is carried out any more
  gone = false; // nothing more is sent to it
  line = Buffer.allocUnsafe(MAX_LINE + 2); // that much of a line tells whether it is too long
  size = 0;
  refused = false;
  owed = [];
  unsent = 0; // bytes owed, and those given to Node but perhaps not taken by the kernel
  writing = false;

  constructor(socket) {
    this.socket = socket;
    clients.add(this);
    socket.setNoDelay(true);
    socket.on("data", (data) => this.received(data));
    socket.on("end", () => this.endReceived());
    socket.on("error", (error) => console.log(`${this.name ?? "nobody"}: ${error.code}`)); // "close" follows
    socket.on("close", () => {
      this.gone = true;
      clients.delete(this);
      this.leave();
    });
    this.say("+-----------------------+", "| A chat served by Node |", "+-----------------------+", "> username:");
  }

  // In

  received(data) {
    if (this.ended) return;
    this.feed(data.subarray(0, SLICE));
    this.waiting = data.length > SLICE && !this.ended;
    if (this.waiting) {
      this.socket.pause();
      setImmediate(() => this.received(data.subarray(SLICE)));
    } else if (this.noMore && !this.ended) {
      this.finish();
    } else {
      this.socket.resume();
    }
  }

  /** The client has sent all it will; this is told even while the socket is paused. */
  endReceived() {
    this.noMore = true;
    if (!this.waiting) this.finish();
  }

  feed(data) {
    for (let start = 0; start < data.length && !this.ended; ) {
      const lf = data.indexOf(LF, start);
      const end = lf < 0 ? data.length : lf;
      this.size += data.copy(this.line, this.size, start, end);
      const cr = this.size > 0 && this.line[this.size - 1] === CR ? 1 : 0;
      const text = this.size - cr <= MAX_LINE ? this.line.subarray(0, this.size - cr) : null;
      if (text === null && !this.refused) {
        this.refused = true;
        this.refuse("line-too-long", "Keep it under four thousand and ninety-seven bytes.");
      }
      if (lf >= 0) {
        if (text !== null) this.obey(decoder.decode(text).replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, "\ufffd"));
        this.size = 0;
        this.refused = false;
      }
      start = end + 1;
    }
  }

  // Out

  /** Send bytes when the kernel takes them. */
  put(data) {
    if (this.gone) return;
    this.owed.push(data);
    this.unsent += data.length;
    this.pump();
    if (this.unsent > LIMIT) this.drop();
  }

  pump() {
    if (this.writing || this.owed.length === 0 || this.gone) return;
    let length = 0;
    let count = 0;
    while (count < this.owed.length && length + this.owed[count].length <= PIECE) length += this.owed[count++].length;
    let data;
    if (count > 0) {
      data = Buffer.concat(this.owed.splice(0, count), length);
    } else {
      data = this.owed[0].subarray(0, PIECE);
      this.owed[0] = this.owed[0].subarray(PIECE);
    }
    this.writing = true;
    this.socket.write(data, (error) => {
      this.writing = false;
      if (error) return;
      this.unsent -= data.length;
      if (this.owed.length > 0) this.pump();
      else if (this.ended) this.socket.end();
    });
  }

  /** Hang up at once. */
  drop() {
    this.gone = true;
    this.ended = true;
    this.owed = [];
    this.socket.destroy();
    setImmediate(() => this.leave()); // not in the middle of telling all
  }

  /** Hang up when everything is sent. */
  finish() {
    this.ended = true;
    this.leave();
    if (!this.writing && this.owed.length === 0) this.socket.end();
  }

  // The room

  say(...texts) {
    for (const text of texts) this.put(made("SERVER", text));
  }

  refuse(code, text) {
    this.put(made("ERROR", `${code}: ${text}`));
  }

  leave() {
    if (this.name === null) return;
    const name = this.name;
    this.name = null;
    members.delete(name.toLowerCase());
    tellAll("SERVER", `${name} has left the building.`);
  }

  /** Say whether this client may have a name. */
  mayBe(name) {
    const key = name.toLowerCase();
    if (!/^[A-Za-z][A-Za-z0-9_-]{0,15}$/.test(name)) this.refuse("name-invalid", `"${name}" is no name.`);
    else if (key === "server" || key === "error") this.refuse("name-invalid", `"${name}" is reserved.`);
    else if ((members.get(key) ?? this) !== this) this.refuse("name-taken", `${members.get(key).name} is here.`);
    else return true;
    return false;
  }

  obey(text) {
    const blank = /^[ \t]*$/.test(text);
    if (this.name === null) {
      if (/^\/exit *$/.test(text)) this.exit();
      else if (!blank) this.enter(text);
    } else if (text.startsWith("/")) {
      this.command(text);
    } else if (!blank) {
      tellAll(this.name, text, this);
    }
  }

  enter(name) {
    if (!this.mayBe(name)) return;
    tellAll("SERVER", `${name} joined the conversation.`);
    this.name = name;
    members.set(name.toLowerCase(), this);
    this.say(`Welcome aboard, ${name}!`, `${members.size} here.`, "Type /help for help.");
  }

  command(text) {
    const [word] = text.split(" ", 1);
    const rest = text.slice(word.length);
    const names = rest.split(" ").filter((one) => one !== "");
    if (word === "/help") {
      this.say("You may say:", "  /whisper NAME TEXT", "  /list or /help or /exit", "  /nick NAME");
    } else if (word === "/list") {
      const keys = [...members.keys()].sort();
      this.say(`Connected users (${keys.length}): ${keys.map((key) => members.get(key).name).join(", ")}`);
    } else if (word === "/exit") {
      this.exit();
    } else if (word === "/nick") {
      if (names.length !== 1) this.refuse("usage", "It is /nick NAME.");
      else if (names[0] === this.name) this.say(`${this.name} is what you are called already.`);
      else if (this.mayBe(names[0])) this.rename(names[0]);
    } else if (word === "/whisper") {
      const [, name, said] = /^ +([^ ]+) +([^ ].*)$/su.exec(rest) ?? [];
      if (name === undefined) this.refuse("usage", "It is /whisper NAME TEXT.");
      else this.whisper(name, said);
    } else {
      this.refuse("unknown-command", `What is ${word}?`);
    }
  }

  rename(name) {
    const old = this.name;
    members.delete(old.toLowerCase());
    members.set(name.toLowerCase(), this);
    this.name = name;
    tellAll("SERVER", `${old} is now ${name}.`);
  }

  whisper(name, text) {
    const other = members.get(name.toLowerCase());
    if (other === undefined) this.refuse("no-such-user", `Who is ${name}?`);
    else if (other === this) this.refuse("usage", "/whisper to others, not to yourself.");
    else {
      other.put(made(`PRIVATE FROM ${this.name}`, text));
      this.put(made(`PRIVATE TO ${other.name}`, text));
    }
  }

  exit() {
    this.leave();
    this.say("Goodbye!  See you soon.");
    this.finish();
    setTimeout(() => this.socket.destroy(), LAST_WORDS);
    this.socket.resume(); // what still comes is read and forgotten
  }
}

const server = net.createServer({ allowHalfOpen: true }, (socket) => new Client(socket));

server.on("error", (error) => {
  console.error(`server: ${error.message}`);
  if (!server.listening) process.exit(1);
});

function stop() {
  server.close();
  for (const client of clients) client.socket.destroy();
  process.exit(0);
}

process.on("SIGINT", stop);
process.on("SIGTERM", stop);
process.stdout.on("error", () => {}); // nobody reads the log: so be it

server.listen({ host: args.host, port: Number(args.port), backlog: 256 }, () => {
  const { address, port } = server.address();
  console.log(`listening on ${address}:${port}`);
});
