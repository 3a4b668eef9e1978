import assert from "node:assert/strict";
import { test } from "node:test";
import { browserTitle, failureText, gpuFacts, gpuOutcome, likelyKind, limitations, threadChoices } from "../../static/js/lib/browser-facts.js";

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
  const said = (facts) => limitations({ secure: true, isolated: true, gpu: null, ...facts }).join(" ");
  assert.match(said({ secure: false, isolated: false }), /^This address is not HTTPS[^.]*one thread[^.]*no WebGPU\.$/);
  assert.match(said({}), /no WebGPU here, so it cannot be tried/);
  assert.match(said({ gpu: { title: "intel gen-12", fallback: false } }), /WebGPU \(intel gen-12\)[^.]*\. Measured, it is a device of its own\.$/);
  assert.match(said({ gpu: { title: "SwiftShader", fallback: true } }), /the processor does/);
});

test("a graphics adapter is named, and one that the processor plays is told apart", () => {
  assert.equal(gpuFacts(null), null);
  assert.equal(gpuFacts(undefined), null);
  assert.deepEqual(gpuFacts({ info: { vendor: "arm", architecture: "valhall" } }), { title: "arm valhall", fallback: false });
  assert.deepEqual(gpuFacts({}), { title: "unnamed", fallback: false });
  assert.equal(gpuFacts({ info: { vendor: "google", architecture: "swiftshader" } }).fallback, true);
  assert.equal(gpuFacts({ info: { isFallbackAdapter: true } }).fallback, true);
});

test("a result says whether WebGPU was tried", () => {
  const gpu = { title: "arm valhall", fallback: false };
  assert.match(gpuOutcome("webgpu", gpu), /by WebGPU \(arm valhall\)/);
  assert.match(gpuOutcome("wasm", gpu), /offered here and was not tried/);
  assert.match(gpuOutcome("wasm", null), /not offered here and was not tried/);
});

test("every failure says what to do, also one that nobody foresaw", () => {
  for (const code of ["forbidden", "clock", "runtime", "silent", "threads", "webgpu"]) assert.match(failureText(code), /try again|take another|choose/i);
  assert.equal(failureText("fault", "out of memory."), "The measurement stopped: out of memory. Try again, or take another browser.");
});
