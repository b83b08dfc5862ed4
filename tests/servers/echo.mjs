// Echo in JavaScript (Node): every socket is piped into itself.
//
// Peculiar: pipe() does it all: back-pressure, and end() after the client's end (hence allowHalfOpen). Node has a
// dozen threads of its own, reserves gigabytes of addresses without using them, and at the limit of descriptors
// it accepts and closes.
//
//     node echo.mjs [--host HOST] [--port PORT]

import net from "node:net";
import { parseArgs } from "node:util";

const { values: args } = parseArgs({
  options: { host: { type: "string", default: "127.0.0.1" }, port: { type: "string", default: "5555" } },
});

const sockets = new Set();

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
  socket.on("error", (error) => console.log(`socket: ${error.code}`)); // "close" follows
  socket.pipe(socket);
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
