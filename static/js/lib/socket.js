// A socket that comes back by itself: jittered back-off, a sync ping every 15 s, whose silence until the next one
// means that the line is dead, and, while it is away, polling. The database is the truth; a message only says that there is something to read.
import { ApiError } from "./api.js";
import { backoff } from "./backoff.js";

const PING_MS = 15_000;
const POLL_MS = 3_000;
const GRACE_MS = 1_000; // a line that is back by then disturbs nobody

export class LiveSocket {
  /**
   * path: () => "/ws/jobs/<id>/?after=12", called at each connection; onMessage(data);
   * onState("open" | "lost" | "polling"), where polling means that the server answers without a
   * socket; poll: async () => void, run while the socket is away;
   * ping: () => object, sent every 15 s; the server answers each one.
   */
  constructor({ path, onMessage, onState = () => {}, poll = null, ping = null }) {
    Object.assign(this, { path, onMessage, onState, poll, ping });
    this.attempt = 0;
    this.closed = false;
    this.socket = null;
    this.connect();
    addEventListener("online", () => this.retryNow());
    addEventListener("pagehide", () => this.close());
    // A page that the browser kept and shows again would otherwise stay silent.
    addEventListener("pageshow", (event) => event.persisted && this.reopen());
  }

  get open() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${this.path()}`);
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => {
      this.heard = true;
      this.onMessage(JSON.parse(event.data));
    };
    socket.onclose = () => socket === this.socket && this.away();
  }

  opened() {
    this.attempt = 0;
    clearTimeout(this.telling);
    clearInterval(this.polling);
    this.polling = null;
    clearInterval(this.pinging);
    this.heard = true;
    this.pinging = setInterval(() => this.ping && this.ask(), PING_MS);
    this.onState("open");
  }

  /* A line may go dead without a word: a NAT that forgot it, a phone in another network. */
  ask() {
    if (!this.heard) return this.abandon();
    this.heard = false;
    this.send(this.ping());
  }

  /* Closing waits for the other side: nobody waits with it. */
  abandon() {
    const dead = this.socket;
    this.socket = null;
    dead.close();
    this.away();
  }

  away() {
    clearInterval(this.pinging);
    if (this.closed) return;
    if (this.attempt === 0) this.telling = setTimeout(() => this.onState("lost"), GRACE_MS);
    if (this.poll && !this.polling) this.polling = setInterval(() => this.pollOnce(), POLL_MS);
    this.timer = setTimeout(() => this.connect(), backoff(this.attempt));
    this.attempt += 1;
  }

  /* The socket may be dead while the server answers (a proxy that knows no sockets). */
  async pollOnce() {
    try {
      await this.poll();
      if (!this.open) this.onState("polling");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (!this.open) this.onState(error.status === 0 ? "lost" : "polling");
    }
  }

  retryNow() {
    if (this.open || this.closed) return;
    clearTimeout(this.timer);
    this.attempt = 0;
    this.connect();
  }

  /** Sends when the socket is open; says whether it did. */
  send(message) {
    if (!this.open) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  reopen() {
    this.closed = false;
    this.retryNow();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.telling);
    clearInterval(this.pinging);
    clearInterval(this.polling);
    this.socket?.close();
  }
}
