// What a job has to say when it is not simply running: queued, failed, missed, infeasible, cancelled,
// interrupted. Plain words: what, where, why, what to do, what was saved, reference.
import { $, escape } from "../lib/dom.js";
import { timeSpan } from "../lib/format.js";
import { ICONS } from "../lib/icons.js";
import { note } from "../lib/markup.js";
import { stageName } from "../lib/states.js";

/** A button for the page's own hand. */
export const button = (action, text, primary = false) => `<button type="button" class="btn${primary ? " primary" : ""}" data-action="${action}" data-needs-server>${text}</button>`;
/** Ends the job soon, with the best that it has found. */
export const finishButton = () => `<button type="button" class="btn" data-action="finish" data-needs-server title="Cut the search short, and keep the best found so far">Finish now</button>`;
export const link = (href, text, primary = false) => `<a class="btn${primary ? " primary" : ""}" href="${escape(href)}">${text}</a>`;
const row = (...items) => `<div class="row tight no-print">${items.filter(Boolean).join("")}</div>`;

/** The note for a job, or an empty string. `verdict` is the sentence of a missed target. */
export function jobNote(job, verdict = "") {
  const studio = `/projects/${job.project?.id}/`;
  const result = job.kind === "build" ? `/jobs/${job.id}/result/` : studio;
  const edit = job.project ? link(studio, "Edit goals") : "";
  const log = button("log", "Download log");
  const writers = { queued, failed, missed, infeasible, cancelled, running, paused, done };
  return writers[job.state]?.({ job, verdict, result, edit, log, studio }) ?? "";
}

function queued({ job }) {
  const ahead = job.queue_position;
  const place = ahead ? `${ahead} ${ahead === 1 ? "job" : "jobs"} ahead of this one` : "Next in line";
  const start = job.starts_in?.high_s >= 2 ? `, starts in ${timeSpan(job.starts_in.low_s, job.starts_in.high_s)}` : "";
  return note("", `<p>${place}${start}. It starts by itself as soon as the worker is free. Change goals meanwhile.</p>`);
}

function running({ job }) {
  if (job.finish_requested) return note("", "<p>Finishing with the best found so far. What was begun is brought to its end first.</p>");
  return job.interrupted ? note("warn", `<p>The worker restarted and went on from ${stageName(job.stage)}. Nothing was lost.</p>`) : "";
}

function paused({ job, log }) {
  const where = job.stage ? ` It goes on at ${stageName(job.stage)}.` : "";
  return note("", `<p><b>Paused.</b> Its worker is free for other jobs; what was finished is kept.${where}</p>${row(button("resume", "Resume", true), job.can_finish && finishButton(), button("cancel", "Cancel the job"), log)}`);
}

const failed = ({ job, edit, log, studio }) => failedNote(job, job.kind === "study" ? link(studio, "Back to the studio") : edit, log);

/** Of a job that failed: {kind, stage, message, reference}, and what stands beside Retry. */
export function failedNote(job, ...others) {
  const facts = [
    job.stage && ["Where", `Stage ${stageName(job.stage)}`],
    ["Saved", `Your files, goals and everything found before are kept.${job.reference ? ` Reference <code>${escape(job.reference)}</code>.` : ""}`],
  ].filter(Boolean);
  const message = job.message || "Something we did not foresee stopped the job.";
  const kv = `<dl class="kv">${facts.map(([term, text]) => `<dt>${term}</dt><dd>${text}</dd>`).join("")}</dl>`;
  const what = job.kind === "study" ? "The study stopped" : "The build stopped";
  return note("bad", `<div><h2>${what} at ${stageName(job.stage) || "the start"}</h2><p>${escape(message)}</p></div>${kv}${row(...retries(job), ...others)}`);
}

/* A file that was refused stays refused: then other files are the way on, not the same again. */
function retries(job) {
  if (job.stage === "INSPECT" && !job.reference) return [link("/", "Choose other files", true), button("retry", "Retry as is")];
  return [button("retry", "Retry as is", true)];
}

/* A build's report says so itself. */
function done({ job }) {
  return job.kind === "study" && job.finish_requested ? note("", "<p>This study was told to finish early: it searched and checked less than usual.</p>") : "";
}

function missed({ verdict, result, edit, log, job }) {
  return note("warn", `<div><h2>Target missed. The nearest model is saved</h2><p>${escape(verdict || job.message || "One of your limits was not met when measured.")}</p></div>${row(link(result, "Open the nearest model", true), edit, log)}`);
}

function infeasible({ verdict, result, edit, log, job }) {
  return note("warn", `<div><h2>No recipe meets every limit. The nearest is saved</h2><p>${escape(verdict || job.message || "Loosen a limit in the studio and build again.")}</p></div>${row(link(result, "Open the nearest model", true), edit, log)}`);
}

function cancelled({ job, edit, log }) {
  const kept = job.best ? "The best candidate so far is kept." : "What was found before is kept.";
  return note("", `<p><b>Cancelled.</b> ${kept}</p>${row(button("retry", "Go on"), edit, log)}`);
}

/** Why what was pressed could not be done, above a note; the newest such sentence alone. */
export function showFault(place, sentence) {
  $(":scope > [role=alert]", place)?.remove();
  place.insertAdjacentHTML("afterbegin", `<p class="note bad" role="alert">${ICONS.warn}<span>${escape(sentence)}</span></p>`);
}
