// Studio: choose by feel, with honest numbers. While a slider is dragged only memory and transforms
// work: the best candidate is picked here, the policy's answer replaces it when it is the newest.
import { GoalPanel } from "../components/goal-panel.js";
import { PreprocessingForm } from "../components/preprocessing-form.js";
import { StudioView } from "../components/studio-view.js";
import { allowBuild, factsMarkup, studyNote } from "../components/study-facts.js";
import { ApiError, get, post, quietly } from "../lib/api.js";
import { Asking } from "../lib/asking.js";
import { throttle } from "../lib/backoff.js";
import { predictionOf } from "../lib/bands.js";
import { wireChartButtons } from "../lib/chart-buttons.js";
import { showConnection } from "../lib/connection.js";
import { $, $$, pageData, segmented, setText } from "../lib/dom.js";
import { percent } from "../lib/format.js";
import { lockPrice } from "../lib/lock-price.js";
import { best, prepare } from "../lib/score.js";
import { LiveSocket } from "../lib/socket.js";
import { record } from "../lib/timings.js";

const SAVE_DELAY_MS = 400;
const CATCH_UP_MS = 300;
const GOALS_A_SECOND = 20;
const REFRESH_MS = 15_000;

const { project } = pageData();
const api = (path) => `/api/projects/${project.id}${path}`;
const loaded = new Map();

/* What is shown and what was asked. `n` numbers the questions: only the newest answer counts. */
const state = { studio: null, target: null, locks: {}, axis: "latency", onlyWithin: false, picked: null, n: 0, answer: null, shown: null, held: false, reloadOnRelease: false, prepared: [], lockAsked: null };

const panel = new GoalPanel({ presets: $("#presets"), goals: $("#goals"), note: $("#feasible-note") });
const view = new StudioView(panel);
const form = new PreprocessingForm($("#preprocessing"));

/* ----- loading ----- */
async function load(target = state.target) {
  const query = target ? `?target=${encodeURIComponent(target)}` : "";
  const studio = await get(api(`/studio${query}`));
  loaded.set(studio.target.name, studio);
  if (target !== state.target) return;
  if (state.held) state.reloadOnRelease = true;
  else take(studio);
}

function take(studio) {
  if (state.studio === null) restore(studio.project.settings ?? {});
  state.studio = studio;
  state.target = studio.target.name;
  state.prepared = studio.baseline && studio.best_log2 ? prepare(studio.candidates, studio.baseline, studio.best_log2) : [];
  state.answer = null;
  if (studio.baseline) panel.suggest(suggestions(studio.baseline));
  showFacts(studio);
  view.setModel(studio);
  redrawChart();
  ask();
  update();
}

function restore({ goals, budgets, locks }) {
  panel.load({ goals, budgets });
  state.locks = { ...(locks ?? {}) };
}

/* Where a limit that is off would start: half of what the original takes. */
const suggestions = (baseline) => ({ max_accuracy_drop: 1, max_latency_ms: baseline.latency_ms / 2, max_energy_mj: baseline.energy_mj / 2, max_size_bytes: baseline.size_bytes / 4 });

function showFacts({ model, layers, study, targets }) {
  $("#facts").innerHTML = factsMarkup(model, layers);
  $("#study-note").innerHTML = studyNote(study, model?.warnings);
  $("#device").targets = targets;
  $("#device").value = state.target;
  $("#study-link").hidden = !study.job;
  $("#study-link").href = `/jobs/${study.job}/`;
  const known = typeof model?.accuracy === "number";
  form.show(model?.preprocessing ?? null, known ? percent(model.accuracy) : "");
  view.chart.reason = study.state === "failed" ? "No candidates: the study stopped before it found any." : "No candidates yet. Points arrive as soon as the search is through.";
}

/* ----- picking and showing ----- */
function choose() {
  const budgets = panel.budgets;
  const found = best(state.prepared, panel.shares, budgets, state.locks);
  const picked = state.picked === null ? null : state.studio.candidates.find((candidate) => candidate.id === state.picked);
  const answer = !picked && state.answer?.n === state.n ? state.answer.selection : null;
  const feasible = answer ? !answer.violated.length : found.feasible;
  return { budgets, feasible, answer, picked, within: found.within, candidate: picked ?? found.candidate };
}

function update() {
  const { studio } = state;
  panel.showShares();
  if (!studio) return;
  const choice = choose();
  if (!studio.baseline || (!choice.candidate && !choice.answer)) {
    state.shown = null;
    return view.showNothing();
  }
  choice.prediction = choice.answer?.prediction ?? predictionOf(choice.candidate, studio.bands);
  choice.key = choice.answer ? `answer ${state.n}` : `candidate ${choice.candidate.id} of ${studio.target.name}`;
  const changed = state.shown?.key !== choice.key;
  state.shown = choice;
  panel.showStates(choice.prediction, choice.budgets);
  view.placeStar(choice.prediction, state.axis);
  if (changed) view.show(choice, state.locks);
}

const redrawChart = () => view.drawChart({ axis: state.axis, onlyWithin: state.onlyWithin, picked: state.picked, budgets: panel.budgets });

/* ----- the drag: one frame, one pick ----- */
let queued = false;
let handlerMs = 0;
let redrawTimer = 0;

function moved() {
  const start = performance.now();
  state.n += 1;
  const hadPick = state.picked !== null;
  state.picked = null;
  asking.ask();
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

/* Plotly catches up once the hand has let go. */
function redrawLater() {
  clearTimeout(redrawTimer);
  redrawTimer = setTimeout(redrawChart, CATCH_UP_MS);
}

/* ----- asking the policy ----- */
const question = () => ({ goals: panel.shares, budgets: panel.budgets, target: state.target, locks: state.locks });
const asking = new Asking(() => socket.send({ kind: "goals", n: state.n, ...question() }), 1000 / GOALS_A_SECOND);

function ask() {
  if (!state.studio?.candidates.length) return;
  state.n += 1;
  if (socket.open) asking.ask();
  else quietly(askByRequest(state.n));
}

async function askByRequest(n) {
  const { selection } = await post(api("/select"), question());
  if (selection) answered({ n, selection });
}

function answered({ n, selection }) {
  if (n !== state.n || !state.studio?.baseline) return;
  const start = performance.now();
  state.answer = { n, selection };
  update();
  record("answer", performance.now() - start);
  if (state.lockAsked) showPrice(selection);
}

function refused({ n, message }) {
  if (n !== state.n || !state.lockAsked) return;
  state.lockAsked = null;
  showLockNote(message);
}

function showPrice(selection) {
  const { layer, action, before } = state.lockAsked;
  state.lockAsked = null;
  showLockNote(lockPrice(layer, action, before, selection.prediction));
}

function showLockNote(text) {
  $("#lock-note").hidden = !text;
  $("#lock-note").textContent = text;
}

let saveTimer = 0;
/* Settled: save, and say it once to screen readers. */
function settled() {
  if (!socket.open) ask();
  clearTimeout(saveTimer);
  saveTimer = setTimeout(() => quietly(post(api("/settings"), question())), SAVE_DELAY_MS);
  setTimeout(() => state.shown && setText($("#spoken"), `${view.starText(state.shown)}: ${view.headline(state.shown.prediction)}`), 250);
}

const redrawSoon = throttle(redrawChart, 150);

$("#goals").addEventListener("goals-moved", moved);
$("#goals").addEventListener("goals-set", settled);
$("#goals").addEventListener("limits-set", () => {
  redrawSoon();
  ask();
  update();
  if (state.shown) view.later(state.shown, state.locks);
  settled();
});

/* ----- device, axis, candidate, layers ----- */
$("#device").addEventListener("device-change", async ({ detail }) => {
  state.picked = null;
  state.target = detail;
  if (loaded.has(detail)) take(loaded.get(detail));
  else await quietly(load(detail));
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
view.chart.addEventListener("candidate-pick", ({ detail }) => pick(state.studio.candidates.find((candidate) => String(candidate.id) === detail)?.id ?? null));
$("#unpick").addEventListener("click", () => {
  pick(null);
  view.chart.focus();
});

for (const source of [view.strip, view.table.table]) source.addEventListener("layer-hover", ({ detail }) => view.light(detail));
view.strip.addEventListener("layer-open", ({ detail }) => view.table.toggle(detail, true));
view.strip.addEventListener("strip-resize", () => state.shown && view.paintStrip(state.shown, state.locks));
view.table.table.addEventListener("lock-change", ({ detail: { layer, lock, action } }) => {
  state.lockAsked = lock && state.shown ? { layer, action, before: state.shown.prediction } : null;
  showLockNote("");
  const { [layer]: _released, ...others } = state.locks;
  state.locks = lock ? { ...others, [layer]: lock } : others;
  state.picked = null;
  ask();
  update();
  if (state.shown) view.showLate(state.shown, state.locks);
  settled();
});

/* ----- preprocessing, build ----- */
function showError(error) {
  if (!(error instanceof ApiError)) throw error;
  $("#build-error").textContent = error.message;
  $("#build-error").hidden = false;
}

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
    showError(error);
  }
}
for (const button of $$("[data-build]")) button.addEventListener("click", build);

/* ----- the study moves ----- */
const reload = throttle(() => {
  if (state.held) {
    state.reloadOnRelease = true;
    return;
  }
  loaded.clear();
  quietly(load());
}, 1500);

/* Between pointer down and release nothing may redraw the chart: what arrives then waits. */
$("#goals").addEventListener("pointerdown", (event) => {
  state.held = event.target.type === "range";
});
for (const type of ["pointerup", "pointercancel"]) {
  addEventListener(type, () => {
    state.held = false;
    if (state.reloadOnRelease) reload();
    state.reloadOnRelease = false;
  });
}

const signature = (study) => JSON.stringify([study.state, study.stage, study.job, study.finished, (study.stages ?? []).map((stage) => stage.state)]);
const hasMoved = (study) => !state.studio || signature(study) !== signature(state.studio.study);
const isStudying = () => !state.studio || (state.studio.study.finished !== true && !["failed", "cancelled"].includes(state.studio.study.state));

const socket = new LiveSocket({
  path: () => `/ws/projects/${project.id}/`,
  onMessage: (message) => {
    if (message.kind === "answer") answered(message);
    if (message.kind === "refusal") refused(message);
    if (message.kind === "answer" || message.kind === "refusal") asking.settled();
    if (message.kind === "study" && hasMoved(message)) reload();
  },
  onState: (now) => {
    showConnection(now);
    if (now === "open") ask();
  },
  poll: () => (isStudying() ? load() : get("/api/status")),
  ping: () => ({ kind: "sync" }),
});

setInterval(() => !document.hidden && socket.open && isStudying() && reload(), REFRESH_MS);
wireChartButtons(project.name);
load().catch(showError);
