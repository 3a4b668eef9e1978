// One question at a time: while an answer is on its way the newer goals wait, and of those that wait
// only the newest is sent. So an answer is never older than one round trip, however slow the server.
import { throttle } from "./backoff.js";

const PATIENCE_MS = 1000;

export class Asking {
  /** send() sends the newest question and says whether it could; at most one in `interval` ms. */
  constructor(send, interval, now = () => performance.now()) {
    this.now = now;
    this.since = null;
    this.waiting = false;
    this.throttled = throttle(() => {
      this.since = send() ? this.now() : null;
    }, interval);
  }

  ask() {
    const busy = this.since !== null && this.now() - this.since < PATIENCE_MS;
    this.waiting = busy;
    if (!busy) this.throttled();
  }

  /** An answer or a refusal came. */
  settled() {
    this.since = null;
    if (this.waiting) this.ask();
  }
}
