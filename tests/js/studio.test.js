import assert from "node:assert/strict";
import { test } from "node:test";
import { bestOf, wishesText } from "../../static/js/lib/best-so-far.js";
import { columnsOf, fitSummary, fitWords, wholeNetworkText } from "../../static/js/lib/fit.js";
import { forbids, lockOf, requires, toggleForbidden, toggleRequired } from "../../static/js/lib/layer-locks.js";
import { PolicyAnswers } from "../../static/js/lib/policy-answers.js";
import { LockNote } from "../../static/js/components/lock-note.js";
import { ApiError } from "../../static/js/lib/api.js";
import { expectedText, reachedText } from "../../static/js/lib/reached.js";
import { buildChoice, buildNote } from "../../static/js/lib/selectors.js";
import { hasMoved, isReady, isStudying } from "../../static/js/lib/study.js";

test("locking a choice keeps its techniques and levels", () => {
  const params = { filter_pruning: { pruning_ratio: 0.5 }, svd: { rank_ratio: 0.5 } };
  const lock = lockOf({ technique: "filter_pruning+svd", level: "−50 % · 1/2", params });
  assert.deepEqual(lock, { treatments: params });
  assert.ok(requires(lock, "svd") && requires(lock, "filter_pruning") && !requires(lock, "fire"));
  assert.equal(toggleRequired(lock, "svd"), null);
  assert.equal(lockOf({ technique: "keep", params: {} }), "keep");
});

test("several techniques can be forbidden on a layer, one by one", () => {
  const one = toggleForbidden(null, "svd");
  const two = toggleForbidden(one, "fire");
  assert.deepEqual(two, { exclude: ["svd", "fire"] });
  assert.ok(forbids(two, "svd") && !forbids(two, "filter_pruning"));
  assert.deepEqual(toggleForbidden(two, "svd"), { exclude: ["fire"] });
  assert.equal(toggleForbidden(one, "svd"), null);
  assert.deepEqual(toggleForbidden("keep", "svd"), { exclude: ["svd"] });
});

test("requiring a technique gives up what was forbidden", () => {
  const lock = toggleRequired({ exclude: ["svd"] }, "svd");
  assert.deepEqual(lock, { technique: "svd", params: {} });
  assert.ok(requires(lock, "svd") && !forbids(lock, "svd"));
  assert.equal(toggleRequired(lock, "svd"), null);
});

function asker(open = true, request = async () => ({ selection: "by request" })) {
  const sent = [];
  const seen = { answers: [], refusals: [] };
  const socket = { open, send: (message) => sent.push(message) > 0 };
  const answers = new PolicyAnswers({
    question: () => ({ goals: {} }),
    socket: () => socket,
    request,
    onAnswer: (selection) => seen.answers.push(selection),
    onRefusal: (sentence) => seen.refusals.push(sentence),
  });
  return { answers, sent, seen };
}

test("only the newest question's answer counts", () => {
  const { answers, sent, seen } = asker();
  answers.ask();
  const [{ n }] = sent;
  answers.forget();
  answers.take({ kind: "answer", n, selection: "old" });
  assert.deepEqual(seen.answers, []);
  assert.equal(answers.current, null);
  answers.take({ kind: "answer", n: answers.n, selection: "new" });
  assert.equal(answers.current, "new");
  answers.take({ kind: "refusal", n: answers.n, message: "no" });
  assert.deepEqual(seen, { answers: ["new"], refusals: ["no"] });
});

test("a second look replaces the answer to the newest question and lets the next one wait no longer", () => {
  const { answers, sent, seen } = asker();
  answers.ask();
  const [{ n }] = sent;
  answers.take({ kind: "answer", n, selection: "quick" });
  answers.take({ kind: "better", n, selection: "better" });
  answers.take({ kind: "better", n: n - 1, selection: "of another question" });
  assert.deepEqual(seen.answers, ["quick", "better"]);
  assert.equal(answers.current, "better");
});

test("without a socket the question goes by request", async () => {
  const { answers, seen } = asker(false);
  answers.ask();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(seen.answers, ["by request"]);
});

test("a refusal by request is told, a server out of reach is not", async () => {
  for (const [status, refusals] of [[400, ["Limits must be above 0."]], [0, []]]) {
    const { answers, seen } = asker(false, async () => { throw new ApiError("Limits must be above 0.", "bad", status); });
    answers.ask();
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.deepEqual(seen.refusals, refusals);
  }
});

test("a refusal stands until the next answer, the price of a lock stays", () => {
  const node = {};
  const note = new LockNote(node);
  const prediction = { latency_ms: { value: 3 }, size_bytes: { value: 1e6 }, accuracy_drop_points: { value: 0.5 } };
  note.refused("There is no such device.");
  assert.deepEqual([node.hidden, node.textContent], [false, "There is no such device."]);
  note.answered(prediction);
  assert.equal(node.hidden, true);
  note.ask("fc1", "lock", prediction);
  note.answered(prediction);
  note.answered(prediction);
  assert.deepEqual([node.hidden, node.textContent], [false, "Locking fc1 costs nothing."]);
});

const BASE = { accuracy: 0.99, latency_ms: 2, energy_mj: 9, size_bytes: 1000, bands: { latency_ms: [0.7, 1.3], energy_mj: [0.5, 2] }, labels: { latency_ms: "calibrated", energy_mj: "rough" } };
const CANDIDATE = { id: 7, drop_points: 0.5, latency_ms: 1, energy_mj: 4, size_bytes: 100, validated: true };

test("a study's best so far says how each number is known", () => {
  const best = bestOf({ kind: "study", state: "running" }, { baseline: BASE }, CANDIDATE);
  assert.equal(best.title, "Best so far");
  assert.equal(best.id, "· candidate 7");
  assert.deepEqual(best.estimate.latency_ms, { value: 1, low: 0.7, high: 1.3, label: "calibrated" });
  assert.equal(best.estimate.size_bytes.label, "exact");
  assert.equal(best.estimate.accuracy_drop_points.label, "measured");
  assert.equal(bestOf({ kind: "study", state: "running" }, {}, CANDIDATE), null);
});

test("a build shows the prediction until it is measured", () => {
  const outcome = { baseline: BASE, estimate: {}, is_measured: false };
  const title = (state, extra = {}) => bestOf({ kind: "build", state }, { outcome: { ...outcome, ...extra } })?.title;
  assert.equal(title("running"), "What is being built");
  assert.equal(title("failed"), "What was being built");
  assert.equal(title("done", { is_measured: true }), "Result");
  assert.equal(bestOf({ kind: "build", state: "running" }, {}), null);
});

test("wishes are read as shares and limits", () => {
  const budgets = { max_accuracy_drop: 1, max_latency_ms: null, max_energy_mj: null, max_size_bytes: 20000 };
  assert.equal(wishesText({ goals: { accuracy: 0.4, latency: 0.6, energy: 0, storage: 0 }, budgets }), "Accuracy 40 %, latency 60 % · at most 1.0 points lost, 0.020 MB");
  assert.equal(wishesText({ goals: { accuracy: 1 }, budgets: {} }), "Accuracy 100 % · no limits");
  assert.equal(wishesText(null), "");
  const published = { name: "classic", inside: "AdaDeep as published (paper)" };
  const wanted = { goals: { accuracy: 1 }, budgets: {}, classic: { view: "analytic (paper)" } };
  assert.equal(wishesText(wanted, published), "Accuracy 100 % · no limits · chosen by AdaDeep as published (paper), counting analytic (paper)");
  assert.equal(wishesText(wanted, { name: "dqn", inside: "today’s selector" }), "Accuracy 100 % · no limits");
});

const USUAL = { name: "dqn", inside: "today’s selector", views: [] };
const GREEDY = { name: "greedy", inside: "greedy search", views: [] };
const PUBLISHED = { name: "classic", inside: "AdaDeep as published (paper)", views: [{ name: "device" }] };

test("today's selector builds the recipe that is shown, another one finds its own", () => {
  assert.deepEqual(buildChoice(USUAL, "device", [1, 2]), { config: [1, 2] });
  assert.deepEqual(buildChoice(GREEDY, "device", [1, 2]), { config: null, selector: "greedy" });
  assert.deepEqual(buildChoice(PUBLISHED, "device", [1, 2]), { config: null, selector: "classic", classic: { view: "device" } });
});

test("the button says when it does not build the recipe that is shown", () => {
  assert.equal(buildNote(USUAL), "");
  assert.match(buildNote(GREEDY), /builds what greedy search finds, not the recipe shown/);
});

test("a build by a method that was asked for expects nothing before it is measured", () => {
  const outcome = { baseline: BASE, is_measured: false };
  assert.equal(bestOf({ kind: "build", state: "running" }, { outcome }), null);
});

test("what a build reached is one line", () => {
  assert.equal(reachedText({ latency_ratio: 1.15, size_ratio: 11.4, accuracy_points: -0.3 }), "1.15× faster, 11.4× smaller, −0.3 pt");
  assert.equal(reachedText({ latency_ratio: 0.5, size_ratio: 11.4, accuracy_points: 0 }), "2.00× slower, 11.4× smaller, 0.0 pt");
});

test("what is expected of a recipe is the same line in two digits; the original is neither faster nor smaller", () => {
  const baseline = { latency_ms: 8, size_bytes: 1000 };
  const values = (ms, size, drop) => ({ latency_ms: { value: ms }, size_bytes: { value: size }, accuracy_drop_points: { value: drop } });
  assert.equal(expectedText(baseline, values(3, 2000, 0.5)), "2.7× faster, 2.0× larger, −0.5 pt");
  assert.equal(expectedText(baseline, values(8, 1010, 0)), "as fast, as large, 0.0 pt");
});

test("a study is ready when the policy answers, and studied until it is finished", () => {
  const studio = (state, finished) => ({ candidates: [1], study: { state, finished, stages: [] } });
  assert.ok(isReady(studio("ready", false)) && isStudying(studio("ready", false)));
  assert.ok(!isReady(studio("running", false)) && !isStudying(studio("failed", false)));
  assert.ok(!isStudying({ ...studio("ready", false), study: { ...studio("ready", false).study, stopped: "cancelled" } }));
  assert.ok(!isReady({ ...studio("ready", true), candidates: [] }));
  assert.ok(hasMoved({ state: "ready", stages: [] }, studio("running", false)));
});

test("the map has a column for what concerns single layers", () => {
  const techniques = { svd: { scope: "structure" }, int8: { scope: "network" }, fire: { scope: "structure" } };
  assert.deepEqual(columnsOf(techniques), ["svd", "fire"]);
  const whole = (...titles) => Object.fromEntries(titles.map((title) => [title, { title, scope: "network" }]));
  assert.equal(wholeNetworkText(whole("Half precision", "Weight clustering", "8-bit integers")), "Half precision, Weight clustering and 8-bit integers are for all weights at once.");
  assert.equal(wholeNetworkText(whole("8-bit integers")), "8-bit integers is for all weights at once.");
  assert.equal(wholeNetworkText({}), "");
});

test("a cell of the map says why or why not", () => {
  assert.equal(fitWords("conv1", "Fire module", true), "Fire module fits conv1.");
  assert.equal(fitWords("fc1", "Fire module", "only convolutions can be squeezed."), "Fire module on fc1: only convolutions can be squeezed.");
});

test("the map in one sentence counts layers with weights", () => {
  const layers = [
    { kind: "conv", applicable: { svd: true, fire: "too narrow." } },
    { kind: "dense", applicable: { svd: "too narrow.", fire: "no convolution." } },
    { kind: "other", applicable: { svd: "no weights.", fire: "no convolution." } },
  ];
  assert.equal(fitSummary(layers, ["svd", "fire"]), "1 of 2 layers with weights can be treated.");
});
