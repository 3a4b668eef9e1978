// Studio: choose by feel, with honest numbers. While a slider is dragged only memory and transforms
// work: the best candidate is picked here, the policy's answer replaces it when it is the newest.
import { buildRows } from "../components/builds-list.js";
import { CandidatePreview } from "../components/candidate-preview.js";
import { button } from "../components/job-note.js";
import { DeviceComparison } from "../components/device-comparison.js";
import "../components/device-finalists.js";
import { GoalPanel } from "../components/goal-panel.js";
import { LockNote } from "../components/lock-note.js";
import "../components/help-note.js";
import "../components/measure-option.js";
import { PreprocessingForm } from "../components/preprocessing-form.js";
import { SelectorChoice } from "../components/selector-choice.js";
import { StudioView } from "../components/studio-view.js";
import { StudyCharts } from "../components/study-charts.js";
import { allowBuild, factsMarkup, studyNote, wireRetry } from "../components/study-facts.js";
import { ApiError, get, post, quietly } from "../lib/api.js";
import { throttle } from "../lib/backoff.js";
import { predictionOf } from "../lib/bands.js";
import { wireChartButtons } from "../lib/chart-buttons.js";
import { addressOf, configText, nameOf } from "../lib/compare.js";
import { showConnection } from "../lib/connection.js";
import { $, $$, escape, pageData, segmented, setText } from "../lib/dom.js";
import { percent } from "../lib/format.js";
import { Frames } from "../lib/frames.js";
import { Hold } from "../lib/hold.js";
import { keep, kept } from "../lib/kept.js";
import { PolicyAnswers } from "../lib/policy-answers.js";
import { best, prepare } from "../lib/score.js";
import { chosenBy } from "../lib/selectors.js";
import { LiveSocket } from "../lib/socket.js";
import { hasMoved, isReady, isStudying } from "../lib/study.js";
import { record } from "../lib/timings.js";

const SAVE_DELAY_MS = 400;
const CATCH_UP_MS = 300;
const REFRESH_MS = 15_000;
const CHARTS_MS = 2_500;

const { project, head } = pageData();
const api = (path) => `/api/projects/${project.id}${path}`;
const loaded = new Map();
const typed = kept("typed"); // what the fields held when this page was left

const state = { studio: null, target: typed?.target ?? null, locks: {}, axis: "latency", turned: false, onlyWithin: $("#only-feasible").checked, picked: null, shown: null, prepared: [] };

const panel = new GoalPanel({ presets: $("#presets"), goals: $("#goals"), note: $("#feasible-note") });
const view = new StudioView(panel);
const form = new PreprocessingForm($("#preprocessing"));
const chooser = new SelectorChoice($("#chooser"), $("#build-by"));
const lockNote = new LockNote($("#lock-note"));
const comparison = new DeviceComparison($("#devices-card"), `${project.name}-devices`, () => post(api("/devices"), question()));
const studyCharts = new StudyCharts($("#study-charts"));

/* ----- loading ----- */
async function load(target = state.target) {
  const query = target ? `?target=${encodeURIComponent(target)}` : "";
  try {
    const studio = await get(api(`/studio${query}`));
    loaded.set(studio.target.name, studio);
    if (target === state.target && !hold.postpones()) take(studio);
  } catch (error) {
    if (error.status !== 404 || !target || target !== state.target) throw error;
    state.target = null; // deleted while it was chosen here: the project's own device takes its place
    await load();
  }
}

function take(studio) {
  if (state.studio === null) {
    restore(studio.project.settings ?? {});
    $("#build-error").hidden = true; // of a first load that failed
  }
  state.studio = studio;
  state.target = studio.target.name;
  state.prepared = studio.baseline && studio.best_log2 ? prepare(studio.candidates, studio.baseline, studio.best_log2) : [];
  if (studio.baseline) panel.suggest(studio.baseline);
  showFacts(studio);
  view.setModel(studio);
  state.shown = null;
  redrawChart();
  ask();
  update();
}

function restore({ goals, budgets, locks }) {
  panel.load({ goals, budgets });
  if (typed) panel.typed = typed.fields;
  if (typed?.chooser) chooser.kept = typed.chooser;
  showChooser();
  state.locks = { ...(typed?.locks ?? locks ?? {}) };
}

function showFacts({ model, layers, study, target, targets, builds, target_notes: notes, prediction_check: check, selectors }) {
  $("#facts").innerHTML = factsMarkup(model, layers, check);
  $("#study-note").innerHTML = studyNote(study, model?.warnings, model ? button("edit", "Edit preprocessing") : "");
  $("#device").targets = targets;
  $("#device").value = state.target ?? target.name;
  $("measure-option").target = $("#device").value;
  $("device-finalists").show($("#device").value, isReady(state.studio) ? study.job : null);
  $("#device-notes").innerHTML = (notes ?? []).map((text) => `<p class="note warn" style="margin-top:8px">${escape(text)}</p>`).join("");
  comparison.ready = isReady(state.studio);
  $("#compare-with").disabled = !isReady(state.studio);
  $("#study-link").hidden = !study.job;
  $("#study-link").href = `/jobs/${study.job}/`;
  $("#builds-card").hidden = !builds.length;
  $("#builds tbody").innerHTML = buildRows(builds);
  const known = typeof model?.accuracy === "number";
  chooser.show(selectors);
  form.show(model?.preprocessing ?? null, known ? percent(model.accuracy) : "");
  view.chart.reason = study.state === "failed" ? "No candidates: the study stopped before it found any." : "No candidates yet. The first, rough ones arrive as soon as the layers are probed.";
  studyCharts.shown = isStudying(state.studio ?? { study });
  refreshStudyCharts();
}

/* ----- picking and showing ----- */
const pickedCandidate = () => state.studio?.candidates.find((candidate) => candidate.id === state.picked) ?? null;

function choose() {
  const budgets = panel.budgets;
  const found = best(state.prepared, panel.shares, budgets, state.locks);
  const picked = pickedCandidate();
  const answer = answers.current;
  const feasible = answer?.violated ? !answer.violated.length : found.feasible;
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
  choice.prediction = (choice.picked ? null : choice.answer?.prediction) ?? predictionOf(choice.candidate, studio.bands);
  choice.key = choice.answer ? `answer ${answers.n}, ${answers.taken}` : `candidate ${choice.candidate.id} of ${studio.target.name}, ${studio.study.state}`;
  const changed = state.shown?.key !== choice.key;
  state.shown = choice;
  panel.showStates(choice.prediction, choice.budgets);
  view.placeStar(choice.prediction, state.axis);
  if (changed) view.show(choice, state.locks);
}

const redrawChart = () => view.drawChart({ axis: state.axis, turned: state.turned, onlyWithin: state.onlyWithin, picked: state.picked, budgets: panel.budgets });

/* ----- the drag: one frame, one pick ----- */
const frames = new Frames(update);
let redrawTimer = 0;

function moved() {
  const start = performance.now();
  if (state.picked !== null) redrawLater();
  state.picked = null;
  if (isReady(state.studio)) answers.askLive();
  frames.request(start);
}

/* Plotly catches up once the hand has let go. */
function redrawLater() {
  clearTimeout(redrawTimer);
  redrawTimer = setTimeout(() => (hold.held ? redrawLater() : redrawChart()), CATCH_UP_MS);
}

/* ----- asking the policy ----- */
const question = () => ({ goals: panel.shares, budgets: panel.budgets, target: state.target, locks: state.locks, config: pickedCandidate()?.config ?? null });
const preview = new CandidatePreview(
  (candidate, layers) => view.preview(candidate, layers),
  async ({ config }) => (await quietly(post(api("/select"), { ...question(), config })))?.selection.layers,
);
const answers = new PolicyAnswers({
  question,
  socket: () => socket,
  request: (asked) => post(api("/select"), asked),
  onAnswer: answered,
  onRefusal: (sentence) => lockNote.refused(sentence),
});

function ask() {
  if (isReady(state.studio)) answers.ask();
  else answers.forget();
}

function answered(selection) {
  if (!state.studio?.baseline) return;
  const start = performance.now();
  update();
  record("answer", performance.now() - start);
  lockNote.answered(selection.prediction);
}

// The browser refuses more than some two hundred of these in half a minute; held keys would make more.
const keepFields = throttle(() => keep("typed", { fields: panel.typed, target: state.target, locks: state.locks, chooser: chooser.kept }), 200);

let saveTimer = 0;
/* Settled: save, and say it once to screen readers. */
function settled() {
  found.hidden = true;
  if (!socket.open) ask();
  keepFields();
  clearTimeout(saveTimer);
  saveTimer = setTimeout(() => quietly(post(api("/settings"), question())), SAVE_DELAY_MS);
  setTimeout(() => state.shown && setText($("#spoken"), `${view.starText(state.shown)}: ${view.headline(state.shown.prediction)}`), 250);
}

const redrawSoon = throttle(redrawChart, 150);

$("#goals").addEventListener("goals-moved", moved);
$("#goals").addEventListener("goals-set", settled);
$("#goals").addEventListener("limits-set", limitsSet);
function limitsSet() {
  redrawSoon();
  ask();
  update();
  if (state.shown) view.later(state.shown, state.locks);
  settled();
}

/* A limit that is dragged in the chart: the star follows at once, Plotly when the hand has let go. */
view.chart.addEventListener("limit-drag", ({ detail: { budget, value, done } }) => {
  const start = performance.now();
  panel.setBudget(budget, value);
  if (done) return limitsSet();
  if (isReady(state.studio)) answers.askLive();
  frames.request(start);
});

/* ----- device, axis, candidate, layers ----- */
$("#device").addEventListener("device-change", async ({ detail }) => {
  state.picked = null;
  state.target = detail;
  if (loaded.has(detail)) take(loaded.get(detail));
  else await quietly(load(detail));
  settled();
});
$("device-finalists").addEventListener("measured", () => {
  loaded.delete(state.target); // its predictions have learnt from what was timed
  quietly(load());
});
/* Accuracy across puts the cost that was there upwards. */
segmented($("#axis"), (axis) => {
  state.turned = axis === "accuracy";
  if (!state.turned) state.axis = axis;
  redrawChart();
  update();
});
$("#only-feasible").addEventListener("change", (event) => {
  state.onlyWithin = event.target.checked;
  redrawChart();
});

function pick(id) {
  state.picked = id;
  ask();
  update();
  redrawChart();
  settled();
}
const candidateOf = (id) => state.studio.candidates.find((candidate) => String(candidate.id) === id) ?? null;
view.chart.addEventListener("candidate-pick", ({ detail }) => pick(candidateOf(detail)?.id ?? null));
view.chart.addEventListener("candidate-point", ({ detail }) => {
  const start = performance.now();
  preview.point(candidateOf(detail));
  record("preview", performance.now() - start);
});
$("#unpick").addEventListener("click", () => {
  pick(null);
  view.chart.focus();
});

for (const source of [view.strip, view.table.table]) source.addEventListener("layer-hover", ({ detail }) => view.light(detail));
view.strip.addEventListener("layer-open", ({ detail }) => view.table.toggle(detail, true));
view.table.table.addEventListener("lock-change", ({ detail: { layer, lock, action } }) => {
  lockNote.ask(layer, action, lock && state.shown ? state.shown.prediction : null);
  const { [layer]: _released, ...others } = state.locks;
  state.locks = lock ? { ...others, [layer]: lock } : others;
  state.picked = null;
  ask();
  update();
  if (state.shown) view.showLate(state.shown, state.locks);
  settled();
});

/* ----- preprocessing, who chooses, build ----- */
function showChooser() {
  const by = chosenBy(chooser.chosen);
  view.by = by && `C${by.slice(1)}`;
  if (state.shown) view.showBar(state.shown.prediction);
}

chooser.node.addEventListener("selector-change", () => {
  found.hidden = true;
  showChooser();
  keepFields();
});

function showError(error) {
  if (!(error instanceof ApiError)) throw error;
  setText($("#build-error span"), error.message);
  $("#build-error").hidden = false;
  $("#study-again").hidden = error.code !== "study_outdated";
}

$("#study-again").addEventListener("click", async () => {
  try {
    await post(api("/study"));
    location.reload();
  } catch (error) {
    showError(error);
  }
});

wireRetry($("#study-note"), {
  project: project.id,
  studyOf: () => (state.studio ?? head).study,
  onRetried: () => {
    loaded.clear();
    return load();
  },
});
$("#study-note").addEventListener("click", ({ target }) => target.closest('[data-action="edit"]') && form.open());

form.node.addEventListener("preprocessing-change", async ({ detail }) => {
  try {
    await post(api("/preprocessing"), detail);
    loaded.clear();
    await load();
  } catch (error) {
    form.error = error.message;
  }
});

const shownConfig = ({ picked, answer, candidate }) => picked?.config ?? answer?.config ?? candidate.config;

$("#compare-with").addEventListener("click", () => {
  if (!state.shown) return;
  const name = nameOf({ project: project.id, device: state.target, recipe: configText(shownConfig(state.shown)) });
  const before = sessionStorage.getItem(`compared ${project.id}`);
  sessionStorage.setItem(`compared ${project.id}`, name);
  location.assign(addressOf(name, before));
});

/* Answers that come in meanwhile turn the button on again; a second click still starts nothing. */
let starting = false;
addEventListener("pageshow", (event) => {
  if (event.persisted) starting = false;
});

const found = $("#build-found");

async function build(again) {
  const { shown } = state;
  if (!shown || starting) return;
  starting = true;
  $("#build-error").hidden = true;
  found.hidden = true;
  allowBuild(false, "Starting the build");
  try {
    const { url, note } = await post(api("/builds"), { ...question(), ...chooser.request(shownConfig(shown)), measure_on_device: $("measure-option").checked, again });
    if (!note) return location.assign(url);
    mayBuild();
    showFound(note, url);
  } catch (error) {
    mayBuild();
    showError(error);
  }
}

function mayBuild() {
  starting = false;
  allowBuild(true);
}

/* An equal build is there: it is opened, or made once more on purpose. */
function showFound(note, url) {
  setText($("span", found), note);
  $("a", found).href = url;
  found.hidden = false;
}

for (const button of $$("[data-build]")) button.addEventListener("click", () => build(false));
$("button", found).addEventListener("click", () => build(true));

/* ----- the study moves ----- */
const reload = throttle(() => {
  if (hold.postpones()) return;
  loaded.clear();
  quietly(load());
}, 1500);
const hold = new Hold($("#goals"), reload);

async function loadStudyCharts() {
  const job = state.studio?.study.job;
  if (job && isStudying(state.studio)) studyCharts.show(await get(`/api/jobs/${job}/figures`));
}
const refreshStudyCharts = throttle(() => !hold.postpones() && quietly(loadStudyCharts()), 1000);

const socket = new LiveSocket({
  path: () => `/ws/projects/${project.id}/`,
  onMessage: (message) => {
    answers.take(message);
    if (message.kind === "study" && hasMoved(message, state.studio)) reload();
  },
  onState: (now) => {
    showConnection(now);
    if (now === "open") ask();
  },
  poll: () => (isStudying(state.studio) ? load() : get("/api/status")),
  ping: () => ({ kind: "sync" }),
});

const whileStudying = (act) => () => !document.hidden && socket.open && isStudying(state.studio) && act();
setInterval(whileStudying(reload), REFRESH_MS);
setInterval(whileStudying(refreshStudyCharts), CHARTS_MS);
wireChartButtons(project.name);
if (head) showFacts(head);
load().catch(showError);
