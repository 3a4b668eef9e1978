// What the model is, and how far its study has come: the head of the studio page.
import { accuracyTitle, isAgreement } from "../lib/accuracy-kind.js";
import { ApiError, post } from "../lib/api.js";
import { $$, escape } from "../lib/dom.js";
import { bytes, count, measured, percent, whole } from "../lib/format.js";
import { badge, note } from "../lib/markup.js";
import { stageName } from "../lib/states.js";
import { failedNote, link as linkTo, showFault } from "./job-note.js";

const ghost = '<span class="ghost" role="img" aria-label="not known yet"></span>';

/** The facts as a definition list; grey bars until the model is inspected. `check` says how good predictions are, once known. */
export function factsMarkup(model, layers, check = "") {
  const kinds = (kind) => layers.filter((layer) => layer.kind === kind).length;
  const shape = layers.length ? [kinds("conv") && `${kinds("conv")} conv`, kinds("dense") && `${kinds("dense")} dense`].filter(Boolean).join(", ") || `${model?.n_layers ?? layers.length}` : null;
  const label = model?.accuracy_kind ? accuracyTitle(model) : "Accuracy";
  const [low, high] = model?.accuracy_ci ?? [];
  const items = [
    ["Parameters", model && count(model.params)],
    ["Multiply–adds", model && count(model.macs)],
    ["File size", model && bytes(model.size_bytes)],
    ["Layers", shape],
    [model?.n_test ? `${label}, ${whole(model.n_test)} test inputs` : label, model?.accuracy !== null && model?.accuracy !== undefined && `${percent(model.accuracy)}${low !== undefined ? ` <small>${(low * 100).toFixed(1)}–${(high * 100).toFixed(1)}, 95 % interval</small>` : ""}`],
    ["Latency on this host", model?.latency_ms && `${measured(model.latency_ms.p50)} ms${spread(model.latency_ms)} ${badge("measured", model.latency_ms.runs ? `measured, ${model.latency_ms.runs} runs` : "measured")}`],
    ...(check ? [["Predicted losses", `<small>${escape(check)}</small>`]] : []),
  ];
  return items.map(([term, value]) => `<div><dt>${escape(term)}</dt><dd>${value || ghost}</dd></div>`).join("");
}

function spread({ p10, p90 }) {
  return p10 && p90 ? ` <small>${measured(p10)}–${measured(p90)}, 8 in 10 rounds</small>` : "";
}

const SENTENCES = {
  queued: "This study waits for the worker. The page fills by itself when it starts.",
  running: "Still studying this model; answers sharpen by themselves.",
  paused: "The study is paused; it goes on when you resume it.",
  cancelled: "The study was cancelled. What it had found is kept.",
};

/** The note about the study, or nothing once it is finished. `edit` leads to what may be changed of one that failed. */
export function studyNote(study, warnings = [], edit = "") {
  const warned = warnings.map((warning) => note("warn", `<p>${escape(warning.message ?? warning)}</p>`)).join("");
  const link = study.job ? `<a href="/jobs/${study.job}/">Watch the study</a>` : "";
  if (study.state === "failed") {
    const past = study.job ? [`<a class="btn" href="/jobs/${study.job}/log/" download>Download log</a>`, linkTo(`/jobs/${study.job}/`, "See what happened")] : [];
    return `${failedNote({ kind: "study", ...study }, edit, ...past)}${warned}`;
  }
  const finished = study.finished ?? study.state === "ready";
  if (finished) return warned;
  const state = study.stopped || (study.state === "ready" ? "running" : study.state);
  const done = (study.stages ?? []).filter((stage) => stage.state === "done").length;
  const where = study.stage && state === "running" ? `${stageName(study.stage)}, stage ${done + 1} of ${study.stages?.length || 4}. ` : "";
  return `${note("", `<p>${where}${SENTENCES[state] ?? ""} ${link}</p>`)}${warned}`;
}

/** "Retry" in that note: goes on with the study that studyOf() gives, then calls onRetried(). */
export function wireRetry(place, { project, studyOf, onRetried }) {
  place.addEventListener("click", async ({ target }) => {
    const button = target.closest('[data-action="retry"]');
    if (!button) return;
    button.disabled = true;
    const { job } = studyOf();
    try {
      await post(job ? `/api/jobs/${job}/retry` : `/api/projects/${project}/study`);
      await onRetried();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      button.disabled = false;
      showFault(place, error.message);
    }
  });
}

/** Turns the build buttons on or off, with the reason. */
export function allowBuild(on, reason) {
  for (const button of $$("[data-build]")) {
    button.toggleAttribute("data-off", !on);
    button.setAttribute("data-needs-server", "");
    button.disabled = !on || button.hasAttribute("data-lost");
    button.title = on ? "" : reason;
  }
}
