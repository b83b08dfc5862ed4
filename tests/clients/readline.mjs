// A chat client in JavaScript: readline at a terminal, events for everything.

import net from "node:net";
import readline from "node:readline";
import { StringDecoder } from "node:string_decoder";

const told = { host: "127.0.0.1", port: "5555", timeout: "5" };
const words = process.argv.slice(2);
while (words.length) {
  const name = words.shift();
  if (!name.startsWith("--") || !(name.slice(2) in told) || !words.length) {
    console.error(`usage: readline.mjs [--host HOST] [--port PORT] [--timeout SECONDS]; not ${name}`);
    process.exit(2);
  }
  told[name.slice(2)] = words.shift();
}

const atTerminal = process.stdin.isTTY && process.stdout.isTTY;
let leaving = false;
let screen = null;

function end(status, text, stream) {
  if (text) stream.write(`${text}\n`, () => process.exit(status));
  else process.exit(status);
}

const server = net.connect({ host: told.host, port: Number(told.port) });
const patience = setTimeout(() => end(1, `no answer from ${told.host}:${told.port}`, process.stderr), 1000 * told.timeout);
let connected = false;

function leave() {
  if (!connected) end(0);
  if (leaving) return;
  leaving = true;
  server.write("/exit\n");
  setTimeout(() => end(0, "-- no close from the server; leaving", process.stdout), 1950);
}

process.on("SIGINT", leave);

server.on("connect", () => {
  connected = true;
  clearTimeout(patience);
  screen = readline.createInterface({ input: process.stdin, output: atTerminal ? process.stdout : undefined, prompt: "> ", crlfDelay: 0 });
  if (atTerminal) screen.prompt();
  screen.on("line", (line) => {
    if (leaving) return;
    if (line.trimEnd() === "/exit") return leave();
    if (!server.write(`${line}\n`)) screen.pause();
    if (atTerminal) screen.prompt();
  });
  screen.on("SIGINT", leave);
  screen.on("close", leave);
});
server.on("drain", () => leaving || screen.resume());

const decoder = new StringDecoder("utf8");
let pieces = [];
server.on("data", (data) => {
  const [first, ...others] = decoder.write(data).split("\n");
  pieces.push(first);
  if (!others.length) return;
  const lines = [pieces.join(""), ...others.slice(0, -1)];
  pieces = [others.at(-1)];
  const harmless = lines.map((line) => line.replace(/\r$/, "").replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f]/g, "?"));
  if (atTerminal) {
    readline.cursorTo(process.stdout, 0);
    readline.clearLine(process.stdout, 0);
  }
  process.stdout.write(harmless.map((line) => `${line}\n`).join(""));
  if (atTerminal && !leaving) screen.prompt(true);
});

let over = false;
server.on("error", (error) => {
  if (over) return;
  over = true;
  if (!connected) end(1, `cannot connect: ${error.message}`, process.stderr);
  else end(leaving ? 0 : 1, `-- ${error.message}`, process.stdout);
});
server.on("end", () => {
  if (over) return;
  over = true;
  end(leaving ? 0 : 1, "-- the server has hung up", process.stdout);
});
