import assert from "node:assert/strict";
import { test } from "node:test";
import { batchSize, clockStep, driftOf, median, quantile, timedBatches, visitLimit } from "../../static/js/lib/graph-timing.js";

/** A clock that shows whole steps only, and a graph whose runs advance it. */
function bench(run_ms, step_ms = 0.1) {
  const bench = { t: 0, count: 0 };
  bench.now = () => Math.floor(bench.t / step_ms) * step_ms;
  bench.run = async () => {
    bench.count += 1;
    bench.t += run_ms;
  };
  bench.visit = (limit_ms, go = async () => true) => timedBatches(bench.run, { now: bench.now, step_ms, limit_ms, go });
  return bench;
}

test("quantiles lie between the values, as NumPy puts them", () => {
  assert.equal(quantile([4, 1, 3, 2], 0.5), 2.5);
  assert.ok(Math.abs(quantile([1, 2, 3, 4, 5], 0.1) - 1.4) < 1e-12);
  assert.equal(quantile([7], 0.9), 7);
  assert.equal(median([3, 1, 2]), 2);
});

test("the clock's step is found though the clock is read much more often", () => {
  let reads = 0;
  assert.ok(Math.abs(clockStep(() => Math.floor(reads++ / 40) * 0.1) - 0.1) < 1e-9);
});

test("a batch lasts fifty steps of the clock, or four milliseconds", () => {
  assert.equal(batchSize(0.01, 0.1), 500);
  assert.equal(batchSize(0.01, 0.005), 400);
  assert.equal(batchSize(30, 0.1), 1);
  assert.equal(batchSize(0, 1), 2000);
});

test("a run far below the clock's step is timed within a few per cent", async () => {
  for (const run_ms of [0.013, 0.21, 3.3]) {
    const ms = median(await bench(run_ms, 1).visit(450));
    assert.ok(Math.abs(ms / run_ms - 1) < 0.04, `${run_ms} ms measured as ${ms}`);
  }
});

test("a graph is warmed up before it is timed", async () => {
  const cold = bench(0.2);
  const warm = cold.run;
  cold.run = async () => {
    if (cold.count < 100) cold.t += 5;
    await warm();
  };
  const visit = timedBatches(cold.run, { now: cold.now, step_ms: 0.1, limit_ms: 2400, go: async () => true });
  assert.ok(Math.abs(quantile(await visit, 0.9) - 0.2) < 0.01);
});

test("a visit keeps its time limit, and stops when it is told to", async () => {
  const long = bench(9);
  await long.visit(450);
  assert.ok(long.t < 470);
  const told = bench(9);
  assert.equal((await told.visit(450, async () => false)).length, 1);
});

test("a graph slower than its time limit is run once", async () => {
  const slow = bench(3000);
  assert.deepEqual(await slow.visit(400), [3000]);
  assert.equal(slow.count, 1);
});

test("what is left is shared among the visits to come", () => {
  assert.equal(visitLimit(60_000, 10), 450);
  assert.equal(visitLimit(3000, 10), 300);
  assert.equal(visitLimit(-5, 10), 0);
});

test("drift is the slowest round over the fastest, whatever the graphs' own times", () => {
  const slowing = (ms) => [[ms, ms], [ms * 1.1, ms * 1.1], [ms * 1.2, ms * 1.2]];
  assert.ok(Math.abs(driftOf([1, 10, 300].map(slowing)) - 0.2) < 1e-9);
  assert.equal(driftOf([[[1], [1], [1]]]), 0);
});

test("one disturbed graph is no drift, and one that missed a round says nothing", () => {
  const even = [[1], [1], [1]];
  assert.equal(driftOf([even, even, [[1], [9], [1]]]), 0);
  assert.equal(driftOf([[[1], [9]]]), 0);
});
