import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveSocket } from "../../static/js/lib/socket.js";

const PING_MS = 15_000;
const LONGEST_WAIT_MS = 500;
const GRACE_MS = 1_000;

/* The browser's end of a line that a test may cut. */
class Line {
  static OPEN = 1;
  static all = [];

  constructor() {
    Object.assign(this, { readyState: 0, sent: [] });
    Line.all.push(this);
  }

  connect() {
    this.readyState = Line.OPEN;
    this.onopen();
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  hear(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }

  close() {
    this.readyState = 2; // the other side never says that it has heard
  }
}
Object.assign(globalThis, { WebSocket: Line, location: { protocol: "http:", host: "localhost" }, addEventListener: () => {} });

function opened(t) {
  t.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  Line.all = [];
  const states = [];
  const socket = new LiveSocket({ path: () => "/ws/", onMessage: () => {}, onState: (state) => states.push(state), ping: () => ({ kind: "sync" }) });
  Line.all[0].connect();
  t.after(() => socket.close());
  return states;
}

test("a line that answers is kept", (t) => {
  const states = opened(t);
  for (let i = 0; i < 4; i += 1) {
    t.mock.timers.tick(PING_MS);
    Line.all[0].hear({ kind: "synced" });
  }
  assert.deepEqual(states, ["open"]);
  assert.equal(Line.all[0].sent.length, 4);
});

test("a line that went dead without a word is replaced", (t) => {
  const states = opened(t);
  t.mock.timers.tick(PING_MS);
  assert.deepEqual(states, ["open"]);
  t.mock.timers.tick(PING_MS);
  t.mock.timers.tick(LONGEST_WAIT_MS);
  assert.equal(Line.all.length, 2);
  t.mock.timers.tick(GRACE_MS - LONGEST_WAIT_MS);
  assert.deepEqual(states, ["open", "lost"]);
  Line.all[1].connect();
  assert.deepEqual(states, ["open", "lost", "open"]);
  t.mock.timers.tick(PING_MS);
  assert.equal(Line.all[1].sent.length, 1);
});

test("a line that falls and is back within a moment is no news", (t) => {
  const states = opened(t);
  Line.all[0].onclose();
  t.mock.timers.tick(LONGEST_WAIT_MS);
  Line.all[1].connect();
  t.mock.timers.tick(GRACE_MS);
  assert.deepEqual(states, ["open", "open"]);
});
