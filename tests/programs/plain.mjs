// A chat client in as few lines as Node.js needs: what is typed goes out, what comes is shown.
import net from "node:net";

const [host, port] = process.argv.slice(2);
const socket = net.connect(Number(port), host);
process.stdin.pipe(socket);
socket.pipe(process.stdout);
socket.on("close", () => process.exit(0));
