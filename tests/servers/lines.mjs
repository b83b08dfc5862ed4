// Numbered lines in JavaScript (Node): one thread, callbacks.
//
// Peculiar: a line too long is refused the moment it is; answers wait in Node's own buffer and the client is not read
// from until they are gone; the decoder is told to leave a byte order mark alone, which it would otherwise drop
// from the beginning of every line.
//
//     node lines.mjs [--host HOST] [--port PORT]

import net from "node:net";
import { parseArgs } from "node:util";

const MAX_LINE = 4096; // bytes, the LF and the CR before it not counted
const CR = 0x0d;
const LF = 0x0a;

const { values: args } = parseArgs({
  options: { host: { type: "string", default: "127.0.0.1" }, port: { type: "string", default: "5555" } },
});

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What one connection has sent since its last complete line. */
class Lines {
  number = 0;
  size = 0;
  skipping = false;
  buffer = Buffer.alloc(MAX_LINE + 1); // room for the CR that may be dropped

  /** Take what arrived and return the answers to it. */
  feed(data) {
    let answers = "";
    for (let start = 0; start < data.length; ) {
      const lf = data.indexOf(LF, start);
      const end = lf < 0 ? data.length : lf;
      answers += this.extend(data.subarray(start, end));
      if (lf >= 0) answers += this.finish();
      start = end + 1;
    }
    return answers;
  }

  /** Add bytes without LF; return the refusal if they make the line too long. */
  extend(bytes) {
    if (this.skipping) return "";
    const copied = bytes.copy(this.buffer, this.size);
    this.size += copied;
    const fits = this.size <= MAX_LINE || this.buffer[MAX_LINE] === CR;
    if (copied === bytes.length && fits) return "";
    this.skipping = true;
    return this.answer("ERROR line-too-long");
  }

  /** The LF is here: return the answer, unless it was given before. */
  finish() {
    const dropped = this.size > 0 && this.buffer[this.size - 1] === CR ? 1 : 0;
    const answer = this.skipping ? "" : this.answer(decoder.decode(this.buffer.subarray(0, this.size - dropped)));
    this.skipping = false;
    this.size = 0;
    return answer;
  }

  answer(text) {
    this.number += 1;
    return `${this.number} ${text}\n`;
  }
}

const sockets = new Set();

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  const lines = new Lines();
  sockets.add(socket);
  socket.on("data", (data) => {
    const answers = lines.feed(data);
    if (answers && !socket.write(answers)) socket.pause();
  });
  socket.on("drain", () => socket.resume());
  socket.on("end", () => socket.end());
  socket.on("error", (error) => console.log(`${error.code} after ${lines.number} lines`)); // "close" follows
  socket.on("close", () => sockets.delete(socket));
});

server.on("error", (error) => {
  console.error(`server: ${error.message}`);
  if (!server.listening) process.exit(1);
});

function stop() {
  server.close();
  for (const socket of sockets) socket.destroy();
  process.exit(0);
}

process.on("SIGINT", stop);
process.on("SIGTERM", stop);
process.stdout.on("error", () => {}); // nobody reads the log: so be it

server.listen({ host: args.host, port: Number(args.port), backlog: 256 }, () => {
  const { address, port } = server.address();
  console.log(`listening on ${address}:${port}`);
});
