// Studio: choose by feel, with honest numbers. While a slider is dragged only memory and transforms
// work: the best candidate is picked here, the policy's answer replaces it when it is the newest.
import "../components/device-picker.js";
import "../components/recipe-strip.js";
import "../components/trade-off-chart.js";
import { COSTS, WAITING, accuracyView, costView } from "../components/metric-card.js";
import { GoalPanel } from "../components/goal-panel.js";
import { LayerTable } from "../components/layer-table.js";
import { PreprocessingForm } from "../components/preprocessing-form.js";
import { allowBuild, factsMarkup, studyNote } from "../components/study-facts.js";
import { get, post } from "../lib/api.js";
import { throttle } from "../lib/backoff.js";
import { predictionOf } from "../lib/bands.js";
import { wireChartButtons } from "../lib/chart-buttons.js";
import { showConnection } from "../lib/connection.js";
import { $, $$, pageData, segmented, setText } from "../lib/dom.js";
import { percent, ratio, signed } from "../lib/format.js";
import { loosening } from "../lib/limits.js";
import { lockPrice } from "../lib/lock-price.js";
import { best, prepare } from "../lib/score.js";
import { LiveSocket } from "../lib/socket.js";
import { legend, setTechniques } from "../lib/techniques.js";
import { record } from "../lib/timings.js";

const METRICS = [["latency_ms", "Latency"], ["energy_mj", "Energy per inference"], ["size_bytes", "Storage"], ["accuracy", "Accuracy"]];
const TABLE_DELAY_MS = 90;
const SAVE_DELAY_MS = 400;
const GOALS_A_SECOND = 20;

const { project } = pageData();
const api = (path) => `/api/projects/${project.id}${path}`;

/* What is shown and what was asked. `n` numbers the questions: only the newest answer counts. */
const state = { studio: null, target: null, locks: {}, axis: "latency", onlyWithin: false, picked: null, n: 0, answer: null, shown: null, prepared: [], lockAsked: null, msAfter: new Map() };

const panel = new GoalPanel({ presets: $("#presets"), goals: $("#goals"), note: $("#feasible-note") });
const chart = $("#tradeoff");
const strip = $("#strip");
const table = new LayerTable($("#layers"));
const form = new PreprocessingForm($("#preprocessing"));
$("#metrics").innerHTML = METRICS.map(([name, label]) => `<metric-card data-metric="${name}" label="${label}"></metric-card>`).join("");
const cards = Object.fromEntries($$("metric-card").map((card) => [card.dataset.metric, card]));
const loaded = new Map();

/* ----- loading ----- */
async function load(target = state.target) {
  const query = target ? `?target=${encodeURIComponent(target)}` : "";
  const studio = await get(api(`/studio${query}`));
  loaded.set(studio.target.name, studio);
  take(studio);
}

function take(studio) {
  const first = state.studio === null;
  state.studio = studio;
  state.target = studio.target.name;
  if (first) restore(studio.project.settings ?? {});
  setTechniques(studio.techniques ?? {});
  state.prepared = studio.baseline && studio.best_log2 ? prepare(studio.candidates, studio.baseline, studio.best_log2) : [];
  state.answer = null;
  panel.suggest(suggestions(studio));
  renderFacts(studio);
  renderModel(studio);
  redrawChart();
  ask();
  update();
}

function restore({ goals, budgets, locks }) {
  panel.load({ goals, budgets });
  state.locks = { ...(locks ?? {}) };
}

/* Where a limit that is off would start: half of what the original takes. */
function suggestions({ baseline }) {
  if (!baseline) return { max_accuracy_drop: 1 };
  return { max_accuracy_drop: 1, max_latency_ms: baseline.latency_ms / 2, max_energy_mj: baseline.energy_mj / 2, max_size_bytes: baseline.size_bytes / 4 };
}

function renderFacts({ model, layers, study, targets }) {
  $("#facts").innerHTML = factsMarkup(model, layers);
  $("#study-note").innerHTML = studyNote(study, location.pathname, model?.warnings);
  const device = $("#device");
  device.targets = targets;
  device.value = state.target;
  const link = $("#study-link");
  link.hidden = !study.job;
  link.href = `/jobs/${study.job}/`;
  form.show(model?.preprocessing ?? null, model?.accuracy !== null && model?.accuracy !== undefined ? percent(model.accuracy) : "");
  chart.reason = study.state === "failed" ? "No candidates: the study stopped before it found any." : "No candidates yet. Points arrive while the study probes and searches.";
}

/* Layers that cost time or can be treated; flatten and fused activations would be empty blocks. */
const worthShowing = (layer) => layer.ms > 0 || layer.kind !== "other";

function renderModel({ layers, techniques }) {
  const rows = layers.filter(worthShowing);
  strip.layers = rows;
  table.setFacts(rows, Object.keys(techniques ?? {}));
  state.unsupported = new Set(rows.filter((layer) => layer.kind === "other" && !Object.values(layer.applicable ?? {}).includes(true)).map((layer) => layer.name));
  if (!state.prepared.length) table.show(rows.map((layer) => ({ layer: layer.name, technique: "keep", why: reasonOf(layer) })), {});
}

const reasonOf = (layer) => {
  const yes = Object.entries(layer.applicable ?? {}).filter(([, on]) => on === true).length;
  if (yes) return `${yes} ${yes === 1 ? "technique fits" : "techniques fit"} this layer`;
  const reason = Object.values(layer.applicable ?? {}).find((value) => typeof value === "string");
  return reason ? `Kept: ${reason}` : "";
};

/* ----- picking and showing ----- */
function choose() {
  const budgets = panel.budgets;
  const found = best(state.prepared, panel.shares, budgets, state.locks);
  const picked = state.picked === null ? null : state.studio.candidates.find((candidate) => candidate.id === state.picked);
  const candidate = picked ?? found.candidate;
  const answer = !picked && state.answer?.n === state.n ? state.answer.selection : null;
  return { budgets, within: found.within, feasible: answer ? !answer.violated.length : found.feasible, candidate, answer, picked };
}

function update() {
  const { studio } = state;
  panel.showShares();
  if (!studio) return;
  const choice = choose();
  if (!choice.candidate && !choice.answer) return showNothing();
  const prediction = choice.answer?.prediction ?? predictionOf(choice.candidate, studio.bands);
  const previous = state.shown;
  state.shown = { ...choice, prediction, key: choice.answer ? `answer ${state.n}` : `candidate ${choice.candidate.id}` };
  panel.showStates(prediction, choice.budgets);
  placeStar(prediction);
  if (previous?.key !== state.shown.key || previous?.studio !== studio) showNumbers(prediction);
  state.shown.studio = studio;
}

function showNumbers(prediction) {
  const { baseline, model } = state.studio;
  for (const name of ["latency_ms", "energy_mj", "size_bytes"]) cards[name].view = costView(baseline[name], prediction[name], COSTS[name]);
  cards.accuracy.view = accuracyView(baseline.accuracy, prediction.accuracy_drop_points, model?.accuracy_kind);
  setText($("#bar-line"), headline(prediction));
  paintStrip(prediction.latency_ms.value);
  clearTimeout(state.tableTimer);
  state.tableTimer = setTimeout(showLate, TABLE_DELAY_MS);
}

/* What may lag behind the hand: the table, the legend, the note. */
function showLate() {
  const { shown, studio } = state;
  if (!shown) return;
  const rows = shown.answer?.layers ?? tilesOf(shown);
  table.show(rows, state.locks);
  $("#tech-legend").innerHTML = legend(rows.map((row) => row.technique), rows.some((row) => row.int8));
  const needed = shown.within ? {} : (shown.answer?.nearest ?? loosening(studio.candidates, shown.budgets));
  panel.showNote(shown.within || (shown.answer && !shown.answer.violated.length ? 1 : 0), studio.candidates.length, Object.keys(needed).length ? needed : loosening(studio.candidates, shown.budgets));
  setText($("#star-text"), starText(shown));
  $("#unpick").hidden = !shown.picked;
  allowBuild(true);
}

function showNothing() {
  state.shown = null;
  allowBuild(false, "The study has no candidates yet.");
  for (const card of Object.values(cards)) card.view = WAITING;
}

const tilesOf = (shown) => shown.answer?.layers ?? shown.candidate?.tiles ?? [];

function starText({ picked, feasible }) {
  if (picked) return `Your pick, candidate ${picked.id}`;
  return feasible ? "Recommended, with its band" : "Nearest, outside a limit";
}

function headline({ latency_ms: latency, size_bytes: size, accuracy_drop_points: drop }) {
  const { baseline } = state.studio;
  const speed = baseline.latency_ms / latency.value;
  const faster = speed >= 1 ? `${ratio(speed)} faster` : `${ratio(1 / speed)} slower`;
  return `${faster}, ${ratio(baseline.size_bytes / size.value)} smaller, ${signed(-drop.value)} pt`;
}

/* Times after, as the policy's answers told them: a candidate's tile borrows them when it can. */
function paintStrip(totalMs) {
  const rows = tilesOf(state.shown);
  const { msAfter, unsupported, target } = state;
  const tiles = rows.map((row) => {
    const key = `${target}|${row.layer}|${row.technique}|${row.level}|${row.int8}`;
    const ms = row.ms_after ?? row.ms ?? msAfter.get(key) ?? null;
    if (row.ms_after !== undefined) msAfter.set(key, row.ms_after);
    return { layer: row.layer, technique: row.technique, level: row.level, int8: row.int8, ms, unsupported: unsupported.has(row.layer) };
  });
  const known = tiles.every((tile) => tile.ms !== null);
  strip.paint(known ? tiles : tiles.map((tile) => ({ ...tile, ms: null })), totalMs, state.locks);
}

function placeStar(prediction) {
  const spec = { latency: "latency_ms", energy: "energy_mj", size: "size_bytes" }[state.axis];
  const { value, low, high } = prediction[spec];
  chart.place({ value, low, high, accuracy: 100 * state.studio.baseline.accuracy - prediction.accuracy_drop_points.value });
}

function redrawChart() {
  const { studio, axis, onlyWithin, picked } = state;
  if (!studio?.figure || !studio.candidates.length) {
    chart.figure = null;
    return;
  }
  chart.show(studio.figure, { axis, onlyWithin, picked, candidates: studio.candidates, budgets: panel.budgets });
}

/* ----- the drag: one frame, one pick ----- */
let queued = false;
let handlerMs = 0;
function moved() {
  const start = performance.now();
  state.n += 1;
  const hadPick = state.picked !== null;
  state.picked = null;
  sendGoals();
  if (!queued) {
    queued = true;
    requestAnimationFrame(() => frame(hadPick));
  }
  handlerMs += performance.now() - start;
}

function frame(hadPick) {
  const start = performance.now();
  queued = false;
  update();
  const end = performance.now();
  record("input", end - start + handlerMs);
  performance.measure("adadeep:input", { start: start - handlerMs, end });
  handlerMs = 0;
  if (hadPick) redrawLater();
}

let redrawTimer = 0;
/* Plotly catches up once the hand has let go. */
function redrawLater() {
  clearTimeout(redrawTimer);
  redrawTimer = setTimeout(redrawChart, 300);
}

/* ----- talking to the policy ----- */
const question = () => ({ goals: panel.shares, budgets: panel.budgets, target: state.target, locks: state.locks });
const sendGoals = throttle(() => socket.send({ kind: "goals", n: state.n, ...question() }), 1000 / GOALS_A_SECOND);

function ask() {
  state.n += 1;
  if (socket.open) sendGoals();
  else askByRequest(state.n);
}

async function askByRequest(n) {
  const answer = await post(api("/select"), question()).catch(() => null);
  if (answer?.selection) answered({ n, selection: answer.selection });
}

function answered({ n, selection }) {
  if (n !== state.n || !state.studio?.baseline) return;
  const start = performance.now();
  state.answer = { n, selection };
  update();
  record("answer", performance.now() - start);
  if (state.lockAsked) speakPrice(selection);
}

function speakPrice(selection) {
  const { layer, action, before } = state.lockAsked;
  state.lockAsked = null;
  const node = $("#lock-note");
  node.hidden = false;
  node.textContent = lockPrice(layer, action, before, selection.prediction);
}

const saveSoon = (() => {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => post(api("/settings"), question()).catch(() => {}), SAVE_DELAY_MS);
  };
})();

/* Settled: save, say it once to screen readers, ask by request when the socket is away. */
function settled() {
  if (!socket.open) ask();
  saveSoon();
  setTimeout(() => state.shown && setText($("#spoken"), `${starText(state.shown)}: ${headline(state.shown.prediction)}`), 250);
}

const redrawSoon = throttle(redrawChart, 150);

$("#goals").addEventListener("goals-moved", moved);
$("#goals").addEventListener("goals-set", settled);
$("#goals").addEventListener("limits-set", () => {
  redrawSoon();
  ask();
  update();
  state.tableTimer = setTimeout(showLate, TABLE_DELAY_MS);
  settled();
});

/* ----- device, axis, candidate, layers ----- */
$("#device").addEventListener("device-change", async ({ detail }) => {
  state.picked = null;
  state.target = detail;
  if (loaded.has(detail)) take(loaded.get(detail));
  await load(detail).catch(() => {});
  settled();
});
segmented($("#axis"), (axis) => {
  state.axis = axis;
  redrawChart();
  update();
});
$("#only-feasible").addEventListener("change", (event) => {
  state.onlyWithin = event.target.checked;
  redrawChart();
});
function pick(id) {
  state.picked = id;
  update();
  redrawChart();
  settled();
}
chart.addEventListener("candidate-pick", ({ detail }) => pick(state.studio.candidates.find((candidate) => String(candidate.id) === detail)?.id ?? null));
$("#unpick").addEventListener("click", () => pick(null));

for (const source of [strip, table.table]) {
  source.addEventListener("layer-hover", ({ detail }) => {
    strip.light(detail);
    table.light(detail);
  });
}
strip.addEventListener("layer-open", ({ detail }) => table.toggle(detail, true));
strip.addEventListener("strip-resize", () => state.shown && paintStrip(state.shown.prediction.latency_ms.value));
table.table.addEventListener("lock-change", ({ detail: { layer, lock, action } }) => {
  state.lockAsked = lock && state.shown ? { layer, action, before: state.shown.prediction } : null;
  $("#lock-note").hidden = true;
  const { [layer]: _old, ...others } = state.locks;
  state.locks = lock ? { ...others, [layer]: lock } : others;
  state.picked = null;
  ask();
  update();
  showLate();
  settled();
});

/* ----- preprocessing, build ----- */
form.node.addEventListener("preprocessing-change", async ({ detail }) => {
  try {
    await post(api("/preprocessing"), detail);
    loaded.clear();
    await load();
  } catch (error) {
    form.error = error.message;
  }
});

async function build() {
  const { shown } = state;
  if (!shown) return;
  allowBuild(false, "Starting the build");
  try {
    const config = shown.picked?.config ?? shown.answer?.config ?? shown.candidate.config;
    const { url } = await post(api("/builds"), { ...question(), config });
    location.assign(url);
  } catch (error) {
    allowBuild(true);
    $("#build-error").textContent = error.message;
    $("#build-error").hidden = false;
  }
}
for (const button of $$("[data-build]")) button.addEventListener("click", build);

/* ----- the study moves ----- */
const reload = throttle(() => {
  loaded.clear();
  load().catch(() => {});
}, 1500);

const socket = new LiveSocket({
  path: () => `/ws/projects/${project.id}/`,
  onMessage: (message) => {
    if (message.kind === "answer") answered(message);
    if (message.kind === "study" && moves(message)) reload();
  },
  onState: (now) => {
    showConnection(now);
    if (now === "open" && state.studio) ask();
  },
  poll: () => (isStudying() ? load() : Promise.resolve()),
  ping: () => ({ kind: "sync" }),
});

const signature = (study) => JSON.stringify([study.state, study.stage, study.job, study.finished, (study.stages ?? []).map((stage) => stage.state)]);
const moves = (message) => !state.studio || signature(message) !== signature(state.studio.study);
const isStudying = () => !state.studio || !["failed", "cancelled"].includes(state.studio.study.state) && state.studio.study.finished === false;

/* While probing and searching, candidates arrive in batches without a change of stage. */
setInterval(() => !document.hidden && socket.open && isStudying() && reload(), 4000);

wireChartButtons(project.name);
load().catch((error) => {
  $("#build-error").textContent = error.message;
  $("#build-error").hidden = false;
});
