import assert from "node:assert/strict";
import { test } from "node:test";
import { measuring } from "../../static/js/lib/measuring.js";

globalThis.location = { href: "http://localhost/devices/measure/" };
globalThis.Worker = class {
  static newest;
  constructor() {
    Worker.newest = this;
    this.told = [];
  }
  postMessage({ kind }) {
    this.told.push(kind);
  }
  terminate() {
    this.told.push("terminated");
  }
};

function begun(t) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const running = measuring({ script: "/worker.js", runtime: "/runtime/", threads: 1, graphs: [], seconds: 45 }, () => {});
  const outcome = { state: "running" };
  running.done.then(
    () => (outcome.state = "measured"),
    (error) => (outcome.state = error.code),
  );
  const after = async (seconds) => {
    t.mock.timers.tick(1000 * seconds);
    await Promise.resolve();
    await Promise.resolve();
    return outcome.state;
  };
  return { running, script: Worker.newest, after };
}

const visit = { data: { kind: "visit", name: "sums", visit: 1, visits: 3 } };

test("a minute of silence ends a measurement", async (t) => {
  const { script, after } = begun(t);
  assert.equal(await after(59), "running");
  script.onmessage(visit);
  assert.equal(await after(59), "running");
  assert.equal(await after(2), "silent");
  assert.equal(script.told.at(-1), "terminated");
});

test("a page that is hidden may stay so, also when the script still finishes something", async (t) => {
  const { running, script, after } = begun(t);
  running.pause();
  script.onmessage(visit);
  assert.equal(await after(3600), "running");
  running.resume();
  assert.deepEqual(script.told, ["start", "pause", "resume"]);
  assert.equal(await after(61), "silent");
});
