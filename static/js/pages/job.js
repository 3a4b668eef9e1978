// Job: trust the wait. Every event is replayed after a reload; the socket only brings the next one.
import "../components/help-note.js";
import "../components/job-progress.js";
import "../components/log-view.js";
import "../components/metric-card.js";
import "../components/plot-figure.js";
import "../components/trade-off-chart.js";
import { finishButton, jobNote, showFault } from "../components/job-note.js";
import { get, post, quietly } from "../lib/api.js";
import { throttle } from "../lib/backoff.js";
import { wireChartButtons } from "../lib/chart-buttons.js";
import { showConnection } from "../lib/connection.js";
import { bestOf, wishesText } from "../lib/best-so-far.js";
import { $, pageData, saveFile, setText } from "../lib/dom.js";
import { duration, timeLeft } from "../lib/format.js";
import { JobEvents } from "../lib/job-events.js";
import { keepTyped } from "../lib/kept.js";
import { metricView } from "../lib/metric-view.js";
import { excess } from "../lib/score.js";
import { LiveSocket } from "../lib/socket.js";
import { isActive, isDelivered, pillOf, stageName } from "../lib/states.js";

const FIGURES_EVERY_MS = 2000;
const CARDS = [["latency_ms", "Latency"], ["energy_mj", "Energy"], ["size_bytes", "Storage"], ["accuracy", "Accuracy"]];

const { outcome, ...page } = pageData();
let { job } = page;
let figures = { outcome };
let asking = false;
let noteShown = "";
const events = new JobEvents();
const log = $("#log");
const CHARTS = ["sensitivity", "reward", "recovery"].map((id) => $(`#${id}`)).filter(Boolean);
const api = (path = "") => `/api/jobs/${job.id}${path}`;

$("#best").innerHTML = CARDS.map(([name, label]) => `<metric-card bare data-metric="${name}" label="${label}"></metric-card>`).join("");

/* ----- the job's state ----- */
function showJob(next) {
  const movedOn = next.stage !== job.stage || next.state !== job.state;
  job = next;
  const done = job.stages.filter((stage) => stage.state === "done").length;
  const [tone, words] = pillOf(job.state, job.stage);
  const pill = $("#job-pill");
  pill.className = `pill ${tone}`;
  setText(pill, words);
  setText($("#stage-count"), job.state === "failed" ? `stopped at ${done + 1}` : `${Math.min(done + (job.state === "running" ? 1 : 0), job.stages.length)} of ${job.stages.length}`);
  $("#stages").show(job.stages, isActive(job.state) ? events.progress(job.stage) : null);
  $("#wait-note").hidden = !isActive(job.state);
  showNote(jobNote({ ...job, interrupted: events.interrupted && job.state === "running" }));
  if (!asking) showActions();
  showBest();
  showReasons();
  if (movedOn) refreshFigures();
  if (movedOn) setText($("#spoken"), `${words}. ${isActive(job.state) && job.stage ? `Stage ${stageName(job.stage)}.` : ""}`);
}

/* Made anew only where it says something else, so that what a refusal put there can be read. */
function showNote(markup) {
  if (markup !== noteShown) $("#job-note").innerHTML = markup;
  noteShown = markup;
}

function showActions() {
  const node = $("#job-actions");
  const markup = isActive(job.state) ? waiting() : finished();
  if (node.dataset.shown !== markup) {
    const held = node.contains(document.activeElement) ? document.activeElement.dataset.action : null;
    node.innerHTML = markup;
    if (held) $(`[data-action="${held}"]`, node)?.focus();
  }
  node.dataset.shown = markup;
  showTimes();
}

/* Written into what stands there: a button made anew every second would lose clicks and the focus. */
function showTimes() {
  setText($("#time-left"), job.cancel_requested ? "Stopping" : job.pause_requested ? "Pausing" : job.finish_requested ? "Finishing" : timeLeft(job.eta?.low_s, job.eta?.high_s));
  setText($("#time-spent"), job.started ? `· ${duration(Math.max(0, (Date.now() - new Date(job.started)) / 1000))} so far` : "");
}

function waiting() {
  const cancel = job.cancel_requested ? "" : '<button type="button" class="btn danger" data-action="ask-cancel" data-needs-server>Cancel</button>';
  const pause = job.cancel_requested || job.pause_requested ? "" : '<button type="button" class="btn" data-action="pause" data-needs-server>Pause</button>';
  const finish = job.can_finish && pause ? finishButton() : "";
  return `<span class="small"><b id="time-left"></b> <span class="muted" id="time-spent"></span></span>${finish}${pause}${cancel}`;
}

function finished() {
  const took = job.started && job.finished ? `<span class="small muted">took ${duration((new Date(job.finished) - new Date(job.started)) / 1000)}</span>` : "";
  if (!isDelivered(job.state)) return took;
  if (job.kind === "study") return `${took}<a class="btn primary big" href="/projects/${job.project?.id}/">Open studio</a>`;
  // Where the target was missed, the note below leads to the same report first.
  return `${took}<a class="btn${job.state === "done" ? " primary big" : ""}" href="/jobs/${job.id}/result/">Open report</a>`;
}

function askCancel() {
  asking = true;
  const node = $("#job-actions");
  node.dataset.shown = "";
  const [asked, stop] = job.kind === "build" ? ["Stop this build? Finished stages are kept.", "Stop it"] : ["Stop now and keep what was found?", "Keep and stop"];
  node.innerHTML = `<span class="small">${asked}</span><button type="button" class="btn danger" data-action="cancel">${stop}</button><button type="button" class="btn" data-action="go-on">Go on</button>`;
  $('[data-action="go-on"]', node).focus();
}

/* ----- best so far ----- */
function showBest() {
  const best = bestOf(job, figures, events.best);
  $("#best-card").hidden = !best;
  if (!best) return;
  setText($("#best-title"), best.title);
  setText($("#best-id"), best.id);
  for (const metric of document.querySelectorAll("#best metric-card")) metric.view = metricView(metric.dataset.metric, best.baseline, best.estimate, best.baseline.accuracy_kind);
  $("#best-actions").innerHTML = job.kind === "study" && job.state === "running" ? `<a class="btn" href="/projects/${job.project?.id}/">Open studio</a>` : "";
}

/* ----- charts ----- */
async function loadFigures() {
  figures = await get(api("/figures"));
  for (const chart of CHARTS) chart.figure = figures[chart.id] ?? null;
  showTradeoff(figures.tradeoff ?? null);
  showBest();
}
function showTradeoff(base) {
  const chart = $("#tradeoff");
  if (!base) {
    chart.figure = null;
    return;
  }
  const candidates = [...events.candidates.values()];
  const budgets = figures.budgets ?? {};
  chart.show(base, { axis: "latency", candidates, budgets, picked: null });
  const within = candidates.filter((candidate) => excess(candidate, budgets) === 0).length;
  setText($("#found"), `· ${candidates.length} ${candidates.length === 1 ? "candidate" : "candidates"}${Object.values(budgets).some((limit) => limit !== null) ? `, ${within} within limits` : ""}`);
  const { best } = events;
  if (!best) return;
  const [low, high] = figures.baseline?.bands?.latency_ms ?? [1, 1];
  chart.place({ value: best.latency_ms, low: best.latency_ms * low, high: best.latency_ms * high, accuracy: base.layout.meta.original - best.drop_points }, true);
}
const refreshFigures = throttle(() => quietly(loadFigures()), FIGURES_EVERY_MS);

const REASONS = {
  tradeoff: ["No candidates yet. Points arrive while the study validates.", "No candidates: the search had not started when the job stopped."],
  sensitivity: ["The first probes come in once the layers are timed.", "Nothing was probed before the job stopped."],
  reward: ["The selector has not started training yet.", "No episodes: the search had not started when the job stopped."],
  recovery: ["Fine-tuning has not started yet.", "Nothing to show: fine-tuning had not started when the job stopped.", "Nothing to show: no fine-tuning was recorded."],
};
function showReasons() {
  $("#tradeoff-card").hidden = job.kind === "build";
  const when = isActive(job.state) || job.state === "paused" ? 0 : isDelivered(job.state) ? 2 : 1;
  for (const chart of [$("#tradeoff"), ...CHARTS]) chart.reason = REASONS[chart.id][when] ?? REASONS[chart.id][1];
}

/* ----- events ----- */
function take(list) {
  const fresh = events.take(list);
  if (!fresh.length) return;
  log.append(fresh.map(events.line).filter(Boolean));
  if (fresh.some((event) => event.kind === "metric" || event.kind === "candidate")) refreshFigures();
  repaint();
}
const repaint = throttle(() => showJob(job), 250);

let statesTold = 0;
async function catchUp() {
  const before = statesTold;
  const answer = await get(api(`/events?after=${events.last}`));
  take(answer.events);
  // What the socket told while this answer was on its way is newer.
  if (statesTold === before) showJob(answer.job);
}
function hear(state) {
  statesTold += 1;
  showJob(state);
}

const socket = new LiveSocket({
  path: () => `/ws/jobs/${job.id}/?after=${events.last}`,
  onMessage: (message) => {
    if (message.kind === "events") take(message.events);
    if (message.kind === "state") hear(message.job);
    if (events.gap) quietly(catchUp());
  },
  onState: (state) => showConnection(isActive(job.state) ? state : "open"),
  poll: catchUp,
  ping: () => ({ kind: "sync", after: events.last }),
});

/* ----- buttons ----- */
const ACTIONS = {
  "ask-cancel": askCancel,
  "go-on": () => settleCancel(null),
  cancel: () => settleCancel(() => post(api("/cancel"))),
  finish: async () => showJob(await post(api("/finish"))),
  pause: async () => showJob(await post(api("/pause"))),
  resume: async () => showJob(await post(api("/resume"))),
  retry: async () => showJob(await post(api("/retry"))),
  log: () => saveFile(`job-${job.id}.log`, log.text),
};

async function settleCancel(send) {
  asking = false;
  try {
    if (send) showJob(await send());
  } finally {
    $("#job-actions").dataset.shown = "";
    showActions();
  }
}

/* The second click of a double click would fall on whatever the first has put there. */
const underway = new Set();
document.addEventListener("click", ({ target, detail }) => {
  const { action } = target.closest("[data-action]")?.dataset ?? {};
  if (ACTIONS[action] && detail < 2 && !underway.has(action)) act(action);
});
async function act(action) {
  underway.add(action);
  $("#job-note > [role=alert]")?.remove();
  try {
    await ACTIONS[action]();
  } catch (error) {
    showFault($("#job-note"), error.message);
  } finally {
    underway.delete(action);
  }
}
document.addEventListener("keydown", (event) => event.key === "Escape" && asking && settleCancel(null));
keepTyped($("#log-filter"), (text) => {
  log.filter = text;
});
$("#log-pause").addEventListener("click", ({ target }) => {
  const on = target.getAttribute("aria-pressed") !== "true";
  target.setAttribute("aria-pressed", String(on));
  target.textContent = on ? "Go on" : "Pause";
  log.pause = on;
});
$("#log-save").addEventListener("click", ACTIONS.log);

setInterval(() => isActive(job.state) && !document.hidden && !asking && showActions(), 1000);
wireChartButtons(job.project?.name ?? "job");
setText($("#wishes"), wishesText(outcome?.wanted, job.selector));
showJob(job);
quietly(catchUp());
refreshFigures();
