import assert from "node:assert/strict";
import { test } from "node:test";

import { keepDoubleClicks } from "../../static/js/lib/double-clicks.js";

const link = (href) => ({ closest: () => ({ getAttribute: () => href }) });
const button = { closest: () => null };

function clicks(...steps) {
  let heard;
  keepDoubleClicks({ addEventListener: (_, listener) => (heard = listener) });
  return steps.map(([target, detail]) => {
    let stopped = false;
    heard({ target, detail, preventDefault: () => (stopped = true), stopImmediatePropagation: () => {} });
    return stopped;
  });
}

test("a link is followed only by clicks that began on it", () => {
  assert.deepEqual(clicks([button, 1], [link("/studio/"), 2]), [false, true]);
  assert.deepEqual(clicks([link("/a/"), 1], [link("/b/"), 2], [link("/b/"), 3]), [false, true, true]);
});

test("a link clicked twice, by keys or alone is followed", () => {
  assert.deepEqual(clicks([link("/a/"), 1], [link("/a/"), 2]), [false, false]);
  assert.deepEqual(clicks([button, 1], [link("/a/"), 1], [link("/a/"), 0]), [false, false, false]);
});

test("buttons clicked fast all count", () => {
  assert.deepEqual(clicks([button, 1], [button, 2], [button, 3]), [false, false, false]);
});
