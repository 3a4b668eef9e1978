import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Asking } from "../../static/js/lib/asking.js";
import { backoff, throttle } from "../../static/js/lib/backoff.js";
import { JobEvents } from "../../static/js/lib/job-events.js";
import { slotOf } from "../../static/js/lib/sniff.js";
import { pillOf } from "../../static/js/lib/states.js";

const recorded = JSON.parse(readFileSync(new URL("fixtures/events.json", import.meta.url))).map((event, i) => ({ ...event, seq: i + 1 }));

test("events that come twice count once", () => {
  const events = new JobEvents();
  assert.equal(events.take(recorded).length, recorded.length);
  assert.equal(events.take(recorded).length, 0);
  assert.equal(events.last, recorded.length);
});

test("a missing event is noticed and nothing after it is taken", () => {
  const events = new JobEvents();
  events.take(recorded.slice(0, 2));
  assert.equal(events.take(recorded.slice(3)).length, 0);
  assert.equal(events.gap, true);
  events.take(recorded.slice(2));
  assert.equal(events.gap, false);
  assert.equal(events.last, recorded.length);
});

test("what was built for real beats what was predicted", () => {
  const events = new JobEvents();
  events.take(recorded);
  assert.equal(events.best.validated, true);
});

test("the log says what happened in words", () => {
  const events = new JobEvents();
  const line = (kind, stage, data) => events.words({ kind, stage, data });
  assert.equal(line("log", "PROBE", { text: "hello" }), "hello");
  assert.equal(line("error", "PROBE", { message: "broken" }), "broken");
  assert.equal(line("done", "PROBE", { seconds: 1.234 }), "Done in 1.2 s");
  assert.equal(line("metric", "RECOVER", { phase: 1, episode: 10, episodes: 1500, reward: -0.25, epsilon: 0.9, loss: 0.1, best: 0.2 }), "Episode 10, reward −0.25, exploring 90 %");
  assert.equal(line("metric", "RECOVER", { step: 80, total: 400, accuracy: 0.912, learning_rate: 0.00123 }), "Step 80 of 400: 91.2 %, learning rate 0.0012");
  assert.equal(line("progress", "PROBE", {}), null);
});

test("a stage done in parts counts its parts, whoever does them, until all of it is done", () => {
  const events = new JobEvents();
  const line = (part, done, total) => events.note({ kind: "progress", stage: "PROBE", part, done, total });
  line("1/1", 3, 10);
  assert.deepEqual(events.progress("PROBE"), { done: 3, total: 10 });
  line("1/4", 5, 5);
  line("2/4", 2, 8);
  line("3/4", 6, 8);
  assert.deepEqual(events.progress("PROBE"), { done: 2, total: 4 });
  line("1/1", 1, 1);
  assert.deepEqual(events.progress("PROBE"), { done: 1, total: 1 });
  assert.equal(events.words({ kind: "done", stage: "PROBE", part: "2/4", data: { seconds: 2 } }), null);
});

test("waiting doubles to half a minute and is spread", () => {
  assert.equal(backoff(0, () => 0), 250);
  assert.equal(backoff(0, () => 1), 500);
  assert.equal(backoff(20, () => 1), 30_000);
});

test("a throttled call runs at once, then at most once an interval, the last one never lost", () => {
  const sent = [];
  let now = 0;
  const timers = [];
  const clock = { now: () => now, later: (call, ms) => timers.push([now + ms, call]) };
  const send = throttle((value) => sent.push(value), 50, clock);
  for (const value of [1, 2, 3]) send(value);
  assert.deepEqual(sent, [1]);
  now = timers[0][0];
  timers[0][1]();
  assert.deepEqual(sent, [1, 3]);
  now += 100;
  send(4);
  assert.deepEqual(sent, [1, 3, 4]);
});

test("files find their slot by content and name", () => {
  const zip = new Uint8Array([0x50, 0x4b, 3, 4]);
  assert.equal(slotOf(zip, "images.zip"), "data");
  assert.equal(slotOf(zip, "data"), "data");
  assert.equal(slotOf(zip, "weights.pt"), "model");
  assert.equal(slotOf(new Uint8Array([8, 7, 18, 7]), "net"), "model");
});

test("states have a tone and words", () => {
  assert.deepEqual(pillOf("running", "RECOVER", 0.64), ["info", "Running, 64 %"]);
  assert.deepEqual(pillOf("failed", "INSPECT"), ["bad", "Failed at Inspect"]);
  assert.deepEqual(pillOf("missed"), ["warn", "Target missed, best saved"]);
});

test("one question is on its way at a time, and only the newest waits", async () => {
  let newest = 0;
  const sent = [];
  const asking = new Asking(() => sent.push(newest), 0);
  for (newest of [1, 2, 3]) asking.ask();
  assert.deepEqual(sent, [1]);
  asking.settled();
  assert.deepEqual(sent, [1, 3]);
  asking.settled();
  assert.deepEqual(sent, [1, 3]);
});

test("a question that is never answered does not block the next for long", () => {
  let now = 0;
  const sent = [];
  const asking = new Asking(() => sent.push(now), 0, () => now);
  asking.ask();
  now = 1500;
  asking.ask();
  assert.equal(sent.length, 2);
});
