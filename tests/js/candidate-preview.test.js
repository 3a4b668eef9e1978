import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { CandidatePreview } from "../../static/js/components/candidate-preview.js";

const LAYERS = [{ layer: "conv1", technique: "svd" }];
const told = { id: 1, tiles: LAYERS };
const untold = { id: 2, tiles: [] };

function previewing(answer = LAYERS) {
  const shown = [];
  const asked = [];
  const ask = async (candidate) => {
    asked.push(candidate.id);
    return answer;
  };
  const preview = new CandidatePreview((candidate, layers) => shown.push(candidate && [candidate.id, layers]), ask);
  return { preview, shown, asked };
}

const pause = async (ms) => {
  mock.timers.tick(ms);
  await Promise.resolve();
  await Promise.resolve();
};

test("a candidate is shown while the pointer is on it", () => {
  const { preview, shown, asked } = previewing();
  preview.point(told);
  preview.point(told);
  preview.point(null);
  assert.deepEqual(shown, [[1, LAYERS], null]);
  assert.deepEqual(asked, []);
});

test("one that came without layers is asked for once, when the pointer rests on it", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { preview, shown, asked } = previewing();
  preview.point(untold);
  await pause(50);
  preview.point(told);
  await pause(1000);
  assert.deepEqual(asked, []);
  preview.point(untold);
  await pause(1000);
  preview.point(null);
  preview.point(untold);
  await pause(1000);
  assert.deepEqual(asked, [2]);
  assert.deepEqual(shown, [null, [1, LAYERS], null, [2, LAYERS], null, [2, LAYERS]]);
  mock.timers.reset();
});

test("an answer that comes when the pointer has left, and none at all, change nothing", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  for (const [answer, leave] of [[LAYERS, true], [null, false]]) {
    const { preview, shown } = previewing(answer);
    preview.point(untold);
    mock.timers.tick(1000);
    if (leave) preview.point(null);
    await pause(0);
    assert.ok(shown.every((each) => each === null));
  }
  mock.timers.reset();
});
