import assert from "node:assert/strict";
import { test } from "node:test";
import { browserTitle, failureText, likelyKind, limitations, threadChoices } from "../../static/js/lib/browser-facts.js";

const ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile Safari/537.36";
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";
const EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/155.0.0.0 Safari/537.36 Edg/155.0.0.0";
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

test("a browser is named with its version and its system", () => {
  assert.deepEqual([ANDROID, IPHONE, EDGE, FIREFOX, ""].map(browserTitle), ["Chrome 156 on Android", "Safari 18 on iPhone", "Edge 155 on Windows", "Firefox 140 on Linux", "A browser"]);
});

test("the kind of device is guessed, a computer where nothing is said", () => {
  assert.deepEqual([ANDROID, IPHONE, EDGE, ""].map(likelyKind), ["android", "apple", "computer", "computer"]);
});

test("threads are offered only where memory can be shared, and no more than there are cores", () => {
  assert.deepEqual(threadChoices(false, 8), [1]);
  assert.deepEqual(threadChoices(true, 8), [1, 2, 4, 8]);
  assert.deepEqual(threadChoices(true, 6), [1, 2, 4]);
  assert.deepEqual(threadChoices(true, undefined), [1]);
});

test("what stays unmeasured is said", () => {
  assert.deepEqual(limitations({ secure: true, isolated: true, gpu: false }), []);
  assert.match(limitations({ secure: false, isolated: false, gpu: false })[0], /not HTTPS.*one thread/);
  assert.match(limitations({ secure: true, isolated: true, gpu: true })[0], /WebGPU, which is not measured/);
});

test("every failure says what to do, also one that nobody foresaw", () => {
  for (const code of ["forbidden", "clock", "runtime", "silent", "threads"]) assert.match(failureText(code), /try again|take another|choose/i);
  assert.equal(failureText("fault", "out of memory."), "The measurement stopped: out of memory. Try again, or take another browser.");
});
