// Job: trust the wait. Every event is replayed after a reload; the socket only brings the next one.
import "../components/job-progress.js";
import "../components/log-view.js";
import "../components/metric-card.js";
import "../components/plot-figure.js";
import "../components/trade-off-chart.js";
import { COSTS, accuracyView, costView } from "../components/metric-card.js";
import { jobNote } from "../components/job-note.js";
import { get, post, quietly } from "../lib/api.js";
import { throttle } from "../lib/backoff.js";
import { wireChartButtons } from "../lib/chart-buttons.js";
import { showConnection } from "../lib/connection.js";
import { $, escape, pageData, saveText, setText } from "../lib/dom.js";
import { duration, timeLeft } from "../lib/format.js";
import { ICONS } from "../lib/icons.js";
import { JobEvents } from "../lib/job-events.js";
import { excess } from "../lib/score.js";
import { LiveSocket } from "../lib/socket.js";
import { isActive, isDelivered, pillOf, stageName } from "../lib/states.js";

const FIGURES_EVERY_MS = 2000;
const CARDS = [["latency_ms", "Latency"], ["energy_mj", "Energy"], ["size_bytes", "Storage"], ["accuracy", "Accuracy"]];

let { job } = pageData();
let figures = {};
let asking = false;
const events = new JobEvents();
const log = $("#log");
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
  setText($("#stage-count"), job.state === "failed" ? `stopped at ${done + 1}` : `${Math.min(done + (isActive(job.state) ? 1 : 0), job.stages.length)} of ${job.stages.length}`);
  $("#stages").show(job.stages, isActive(job.state) ? events.progress(job.stage) : null);
  $("#wait-note").hidden = !isActive(job.state);
  $("#job-note").innerHTML = jobNote({ ...job, interrupted: events.interrupted && job.state === "running" });
  if (!asking) showActions();
  showBest();
  showReasons();
  if (movedOn) setText($("#spoken"), `${words}. ${isActive(job.state) && job.stage ? `Stage ${stageName(job.stage)}.` : ""}`);
}

function showActions() {
  const node = $("#job-actions");
  const markup = isActive(job.state) ? waiting() : finished();
  if (node.dataset.shown === markup) return;
  node.dataset.shown = markup;
  // The time that runs makes the buttons anew; the keyboard's focus must survive it.
  const { action } = node.contains(document.activeElement) ? document.activeElement.dataset : {};
  node.innerHTML = markup;
  if (action) $(`[data-action="${action}"]`, node)?.focus();
}

function waiting() {
  const so = job.started ? `<span class="muted">· ${duration(Math.max(0, (Date.now() - new Date(job.started)) / 1000))} so far</span>` : "";
  const left = job.cancel_requested ? "Stopping" : timeLeft(job.eta?.low_s, job.eta?.high_s);
  const cancel = job.cancel_requested ? "" : '<button type="button" class="btn danger" data-action="ask-cancel" data-needs-server>Cancel</button>';
  return `<span class="small"><b>${left}</b> ${so}</span>${cancel}`;
}

function finished() {
  const took = job.started && job.finished ? `<span class="small muted">took ${duration((new Date(job.finished) - new Date(job.started)) / 1000)}</span>` : "";
  if (!isDelivered(job.state)) return took;
  if (job.kind === "study") return `${took}<a class="btn primary big" href="/projects/${job.project?.id}/">Open studio</a>`;
  return `${took}<a class="btn primary big" href="/jobs/${job.id}/result/">Open report</a>`;
}

function askCancel() {
  asking = true;
  const node = $("#job-actions");
  node.dataset.shown = "";
  node.innerHTML = `<span class="small">Stop now${job.best ? " and keep the best candidate" : " and keep what was found"}?</span><button type="button" class="btn danger" data-action="cancel">Keep and stop</button><button type="button" class="btn" data-action="go-on">Go on</button>`;
  $('[data-action="go-on"]', node).focus();
}

/* ----- best so far ----- */
function showBest() {
  const best = events.best ?? (job.best?.latency_ms ? job.best : null);
  const base = figures.baseline ?? job.baseline ?? null;
  const card = $("#best-card");
  card.hidden = !best || !base;
  if (card.hidden) return;
  setText($("#best-title"), isActive(job.state) ? "Best so far" : "Best candidate");
  setText($("#best-id"), best.id === undefined ? "" : `· candidate ${best.id}`);
  for (const metric of document.querySelectorAll("#best metric-card")) metric.view = bestView(metric.dataset.metric, best, base);
  $("#best-actions").innerHTML = job.kind === "study" && job.state !== "queued" ? `<a class="btn" href="/projects/${job.project?.id}/">Open studio</a>` : "";
}

function bestView(name, best, base) {
  const plain = (value, label) => ({ value, low: value, high: value, label });
  if (name === "accuracy") return accuracyView(base.accuracy, plain(best.drop_points, best.validated ? "measured" : "rough"));
  const label = name === "size_bytes" ? "exact" : (base.labels?.[name] ?? "rough");
  const [low, high] = base.bands?.[name] ?? [1, 1];
  return costView(base[name], { value: best[name], low: best[name] * low, high: best[name] * high, label }, COSTS[name]);
}

/* ----- charts ----- */
async function loadFigures() {
  figures = await get(api("/figures"));
  for (const name of ["reward", "recovery"]) $(`#${name}`).figure = figures[name] ?? null;
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
  setText($("#found"), `· ${candidates.length} candidates${Object.values(budgets).some((limit) => limit !== null) ? `, ${within} within limits` : ""}`);
  const { best } = events;
  if (!best) return;
  const [low, high] = figures.baseline?.bands?.latency_ms ?? [1, 1];
  chart.place({ value: best.latency_ms, low: best.latency_ms * low, high: best.latency_ms * high, accuracy: base.layout.meta.original - best.drop_points }, true);
}
const refreshFigures = throttle(() => quietly(loadFigures()), FIGURES_EVERY_MS);

function showReasons() {
  const over = !isActive(job.state);
  const study = job.kind === "study";
  $("#reward-card").hidden = !study;
  $("#recovery-card").hidden = study;
  $("#tradeoff-card").hidden = !study && !figures.tradeoff;
  $("#curves").classList.toggle("cols-2", false);
  $("#tradeoff").reason = over ? "No candidates: the search had not started when the job stopped." : "No candidates yet. Points arrive while the study searches and validates.";
  $("#reward").reason = over ? "No episodes: the search had not started when the job stopped." : "The selector has not started training yet.";
  $("#recovery").reason = over ? "Nothing to show: fine-tuning had not started when the job stopped." : "Fine-tuning has not started yet.";
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

async function catchUp() {
  const answer = await get(api(`/events?after=${events.last}`));
  take(answer.events);
  showJob(answer.job);
}

const socket = new LiveSocket({
  path: () => `/ws/jobs/${job.id}/?after=${events.last}`,
  onMessage: (message) => {
    if (message.kind === "event") take([message.event]);
    if (message.kind === "events") take(message.events);
    if (message.kind === "state") showJob(message.job);
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
  retry: async () => showJob(await post(api("/retry"))),
  log: () => saveText(`job-${job.id}.log`, log.text),
};

async function settleCancel(send) {
  asking = false;
  if (send) await send().then(showJob, (error) => setText($("#spoken"), error.message));
  $("#job-actions").dataset.shown = "";
  showActions();
}

document.addEventListener("click", (event) => {
  const { action } = event.target.closest("[data-action]")?.dataset ?? {};
  if (ACTIONS[action]) Promise.resolve(ACTIONS[action]()).catch((error) => showFault(error));
});
function showFault(error) {
  $("#job-note").insertAdjacentHTML("afterbegin", `<p class="note bad" role="alert">${ICONS.warn}<span>${escape(error.message)}</span></p>`);
}
document.addEventListener("keydown", (event) => event.key === "Escape" && asking && settleCancel(null));
$("#log-filter").addEventListener("input", (event) => {
  log.filter = event.target.value;
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
showJob(job);
quietly(catchUp());
refreshFigures();
