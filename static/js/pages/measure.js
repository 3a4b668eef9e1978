// Measure this browser: choose, time in the background, send the timings, show what came of them.
import "../components/phone-link.js";
import { post } from "../lib/api.js";
import { browserTitle, failureText, gpuFacts, gpuOutcome, likelyKind, limitations, threadChoices } from "../lib/browser-facts.js";
import { $, $$, escape, pageData, setText } from "../lib/dom.js";
import { FAMILIES, bandText } from "../lib/evidence.js";
import { bytes, duration, measured, percent, predicted } from "../lib/format.js";
import { MOST_DRIFT } from "../lib/graph-timing.js";
import { badge, note } from "../lib/markup.js";
import { measuring } from "../lib/measuring.js";

const SECONDS = 45;
const DIGITS = 1e5; // of a millisecond: ten nanoseconds, far below any clock
const page = pageData();
const main = $("main");
const agent = navigator.userAgent;
let running = null;
let gpu = null;

function fillForm() {
  $("#title").value = browserTitle(agent);
  const likely = likelyKind(agent);
  const general = page.kinds.map((kind) => `<option value="${escape(kind.prior)}"${kind.name === likely ? " selected" : ""}>${escape(kind.title)}</option>`);
  const families = [...new Set(page.catalogue.map((device) => device.family))];
  const listed = families.map((family) => `<optgroup label="${escape(FAMILIES[family] ?? family)}">${page.catalogue.filter((device) => device.family === family).map((device) => `<option value="${escape(device.name)}">${escape(device.title)}</option>`).join("")}</optgroup>`);
  $("#kind").innerHTML = general.join("") + listed.join("");
  const choices = threadChoices(globalThis.crossOriginIsolated, navigator.hardwareConcurrency);
  $("#threads").innerHTML = choices.map((threads) => `<option value="${threads}">${threads === 1 ? "One" : threads}</option>`).join("");
  $("#threads").disabled = choices.length === 1;
  $("#networks").innerHTML = page.networks.map((network, i) => `<label class="check"><input type="checkbox" value="${escape(network.name)}"${i < 2 ? " checked" : ""}> <span>${escape(network.title)} <span class="muted">${bytes(network.size_bytes)}</span></span></label>`).join("");
  showLimitations();
}

async function showLimitations() {
  gpu = gpuFacts(await navigator.gpu?.requestAdapter().catch(() => null));
  $("#backend [value=webgpu]").disabled = !gpu;
  const facts = { secure: globalThis.isSecureContext, isolated: globalThis.crossOriginIsolated, gpu };
  $("#limitations").innerHTML = limitations(facts).map((text) => `<li>${escape(text)}</li>`).join("");
}

function chosenGraphs() {
  const wanted = new Set($$("#networks input:checked").map((box) => box.value));
  return [...page.graphs, ...page.networks.filter((network) => wanted.has(network.name))];
}

async function measure(event) {
  event.preventDefault();
  if (running) return;
  const started = performance.now();
  const backend = $("#backend").value;
  const threads = backend === "webgpu" ? 1 : Number($("#threads").value);
  show("running");
  $("#result").innerHTML = "";
  running = measuring({ script: main.dataset.script, runtime: page.runtime, backend, threads, graphs: chosenGraphs(), seconds: SECONDS }, (visit) => showProgress(visit, started));
  try {
    const found = await running.done;
    setText($("#progress-text"), "Calibrating");
    const answer = await post(page.runs_url, delivery(found, { backend, threads }, (performance.now() - started) / 1000));
    showResult(answer, found, backend);
  } catch (error) {
    if (error.code !== "cancelled") $("#result").innerHTML = note("bad", `<p role="alert">${escape(error.status === undefined ? failureText(error.code, error.message) : error.message)}</p>`);
    setText($("#spoken"), error.code === "cancelled" ? "Cancelled. Nothing was sent." : "");
  } finally {
    running = null;
    show("idle");
  }
}

function delivery(found, { backend, threads }, seconds) {
  const timed = found.graphs.filter((graph) => graph.runs_ms.length);
  return {
    title: $("#title").value.trim(),
    prior: $("#kind").value,
    backend,
    threads,
    runs: timed.map(({ name, runs_ms }) => ({ name, runs_ms: runs_ms.map((ms) => Math.max(1, Math.round(ms * DIGITS)) / DIGITS) })),
    environment: {
      user_agent: agent,
      cores: navigator.hardwareConcurrency ?? null,
      memory_gb: navigator.deviceMemory ?? null,
      isolated: globalThis.crossOriginIsolated,
      webgpu: gpu?.title ?? null,
      clock_step_ms: found.step_ms,
      drift: found.drift,
      seconds,
      left_out: found.graphs.filter((graph) => !graph.runs_ms.length).map(({ name, refused }) => ({ name, reason: refused.slice(0, 200) || "no time left" })),
    },
  };
}

function show(state) {
  main.dataset.state = state;
  const isRunning = state === "running";
  for (const node of $$("#progress, #cancel")) node.hidden = !isRunning;
  $("#paused").hidden = true;
  $("#start").hidden = isRunning;
  $("#start").disabled = !page.runtime;
  for (const control of $$("#form input, #form select")) control.disabled = isRunning || control.matches("#threads:has(option:only-child)") || (control.id === "threads" && $("#backend").value === "webgpu");
  if (isRunning) showProgress({ visit: 0, visits: 1 }, performance.now());
}

function showProgress({ name, visit, visits }, started) {
  const share = Math.round((100 * visit) / visits);
  const bar = $("#progress .bar");
  bar.style.setProperty("--done", `${share}%`);
  bar.setAttribute("aria-valuenow", share);
  const spent_s = (performance.now() - started) / 1000;
  setText($("#progress-text"), visit ? `${titleOf(name)} · ${share} %, about ${duration(Math.max(1, (spent_s * (visits - visit)) / visit))} left` : "Loading the runtime");
}

const titleOf = (name) => page.networks.find((network) => network.name === name)?.title ?? name;

function showResult(answer, found, backend) {
  const { device } = answer;
  const names = new Set(page.graphs.map((graph) => graph.name));
  const own = answer.rows.filter((row) => !names.has(row.name));
  $("#result").innerHTML = [
    `<section class="card stack" aria-labelledby="result-title"><div class="row spread"><h2 id="result-title">${escape(device.title)}</h2>${badge(device.label, `${device.label} ${bandText(...device.band)}`)}</div>
      <p>${escape(device.runtime)}, ${device.threads === 1 ? "one thread" : `${device.threads} threads`}. ${escape(gpuOutcome(backend, gpu))} ${answer.rows.length} graphs were measured. Predictions of them were off by ${percent(answer.error_before, 0)} before and are off by ${percent(answer.error_after, 0)} now, each predicted from the others.</p>
      ${page.phone ? links(answer) : "<p>This page may be closed. The device is a target now, where the code was shown.</p>"}</section>`,
    found.drift > MOST_DRIFT ? note("warn", `<p>This device changed its speed by ${percent(found.drift, 0)} while it was measured. It grew warm, or something else ran. Let it rest, close other programs and measure again; the newer timings then count.</p>`) : "",
    leftOut(found, answer),
    own.length ? networksTable(own, device) : "",
  ].join("");
  setText($("#spoken"), `Measured. ${device.title} is ${device.label} and can be chosen as a target.`);
  $("#result-title").scrollIntoView({ block: "nearest" });
}

const links = (answer) => `<p class="row tight"><a class="btn" href="${escape(answer.url)}">Open the device</a>${page.project ? `<a class="btn" href="${escape(page.project.url)}">Back to ${escape(page.project.name)}</a>` : ""}</p>`;

function leftOut(found, answer) {
  const timed = found.graphs.filter((graph) => !graph.runs_ms.length).map((graph) => `${titleOf(graph.name)}: ${graph.refused || "no time was left for it."}`);
  const reasons = [...timed, ...Object.values(answer.refused)];
  return reasons.length ? note("warn", `<div><p>Left out:</p><ul>${reasons.map((reason) => `<li>${escape(reason)}</li>`).join("")}</ul></div>`) : "";
}

function networksTable(rows, device) {
  const row = (r) => `<tr><td class="full strong">${escape(r.name)}</td><td class="n full" data-label="Measured">${measured(r.measured_ms)} ms <span class="muted">${measured(r.p10_ms)}–${measured(r.p90_ms)}</span></td><td class="n full" data-label="Predicted before">${predicted(r.before_ms)} ms</td><td class="n full" data-label="Predicted from the others">${predicted(r.after_ms)} ms</td></tr>`;
  return `<section class="card flush"><div class="row spread card-head"><h2>Your networks</h2>${badge("measured", `measured in ${device.runtime}`)}</div>
    <div class="table-wrap"><table class="as-cards"><caption class="sr">Measured and predicted milliseconds of the project's networks</caption><thead><tr><th>Network</th><th class="n">Measured, p10–p90</th><th class="n">Predicted before</th><th class="n">Predicted from the others</th></tr></thead><tbody>${rows.map(row).join("")}</tbody></table></div></section>`;
}

function watchBackground() {
  document.addEventListener("visibilitychange", () => {
    if (!running) return;
    if (document.hidden) running.pause();
    else running.resume();
    $("#paused").hidden = !document.hidden;
  });
}

fillForm();
show("idle");
watchBackground();
if (page.phone) $("#phone").phone = page.phone;
$("#form").addEventListener("submit", measure);
$("#backend").addEventListener("change", () => show("idle"));
$("#cancel").addEventListener("click", () => running?.cancel());
