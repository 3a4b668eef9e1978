// The stages of a job: tick and duration when done, ring when now, number and estimate when waiting,
// cross when failed.
import { escape } from "../lib/dom.js";
import { duration, timeLeft, timeSpan } from "../lib/format.js";
import { ICONS } from "../lib/icons.js";
import { stageName } from "../lib/states.js";

const SPOKEN = { done: "done", running: "running", failed: "failed", waiting: "waiting" };
const WHAT = {
  INSPECT: "reads the model, checks its outputs, measures it",
  PROBE: "what one change to one layer costs",
  SEARCH: "trains the selector",
  VALIDATE: "builds the best candidates for real",
  RECOVER: "fine-tunes against the original",
  EXPORT: "writes ONNX, reloads it, compares outputs",
  MEASURE: "accuracy on the test split, paired latency",
  PACKAGE: "report, recipe, checksums",
};

class JobProgress extends HTMLElement {
  connectedCallback() {
    this.innerHTML = '<ol class="stages"></ol>';
    this.list = this.firstElementChild;
  }

  /** stages: [{stage, state, seconds, detail, eta: {low_s, high_s} where it is not done}]; progress: {done, total} of the current one. */
  show(stages, progress = null) {
    const markup = stages.map((stage, i) => this.item(stage, i, progress)).join("");
    if (this.list.innerHTML !== markup && this.shown !== markup) this.list.innerHTML = markup;
    this.shown = markup;
  }

  item({ stage, state, seconds, detail, eta }, i, progress) {
    const mark = { done: ICONS.tick, failed: ICONS.cross, running: "" }[state] ?? i + 1;
    const running = state === "running";
    const share = running && progress?.total ? Math.min(100, Math.round((100 * progress.done) / progress.total)) : null;
    const bar = share === null ? "" : `<span class="bar" role="progressbar" aria-label="${stageName(stage)}" aria-valuenow="${share}" aria-valuemin="0" aria-valuemax="100" style="--done:${share}%"><i></i></span>`;
    const count = share === null ? "" : ` · ${progress.done} of ${progress.total}`;
    return `<li class="${state}"${running ? ' aria-current="step"' : ""}><span class="mark">${mark}</span><span class="name">${stageName(stage)}<span class="sr">, ${SPOKEN[state] ?? state}</span></span><time>${timeOf(state, seconds, eta)}</time><small>${escape(detail || WHAT[stage] || "")}${count}</small>${bar}</li>`;
  }
}
/* What it took; of one that is not done what it probably will: a range, so that the two are told apart. */
function timeOf(state, seconds, eta) {
  if (eta && state === "running") return timeLeft(eta.low_s, eta.high_s);
  if (eta && state === "waiting") return `<span class="sr">expected: </span>${timeSpan(eta.low_s, eta.high_s)}`;
  return state === "waiting" || seconds === null || seconds === undefined ? "" : duration(seconds);
}

customElements.define("job-progress", JobProgress);
