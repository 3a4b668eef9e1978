// How inputs are prepared before the network sees them: guessed, shown, editable.
// Emits "preprocessing-change" with {layout, divide, mean, std}.
import { $, escape } from "../lib/dom.js";

const LAYOUTS = ["NCHW", "NHWC", "NCT", "NTC", "NF"];
const list = (values) => (values ?? []).map((value) => Number(Number(value).toPrecision(6))).join(", ");
const numbers = (text) => text.split(/[\s,;]+/).filter(Boolean).map(Number);

export class PreprocessingForm {
  constructor(node) {
    this.node = node;
    node.addEventListener("submit", (event) => this.submit(event));
  }

  show(values, accuracyText) {
    const text = JSON.stringify(values);
    if (text === this.shown || this.node.contains(document.activeElement)) return;
    this.shown = text;
    if (!values) {
      this.node.innerHTML = '<p class="small muted">Known as soon as the model is inspected.</p>';
      return;
    }
    const layouts = LAYOUTS.includes(values.layout) ? LAYOUTS : [values.layout, ...LAYOUTS];
    this.node.innerHTML = `<form class="stack close"><p class="tiny muted">Guessed from the model's input and checked by the accuracy it gives${accuracyText ? `: ${escape(accuracyText)}` : ""}. A wrong guess shows as chance level.</p>
      <div class="preprocessing"><label for="pre-layout">Layout</label><select class="select" id="pre-layout">${layouts.map((layout) => `<option${layout === values.layout ? " selected" : ""}>${escape(layout)}</option>`).join("")}</select>
      <label for="pre-divide">Divide by</label><input class="input" id="pre-divide" inputmode="decimal" value="${escape(values.divide ?? 1)}">
      <label for="pre-mean">Mean</label><input class="input" id="pre-mean" value="${escape(list(values.mean))}" placeholder="one per channel, or empty">
      <label for="pre-std">Std</label><input class="input" id="pre-std" value="${escape(list(values.std))}" placeholder="one per channel, or empty"></div>
      <p class="tiny bad" role="alert" id="pre-error" hidden></p>
      <button class="btn" data-needs-server>Study again with these</button></form>`;
  }

  /** Unfolds it, and puts the hand on its first field. */
  open() {
    this.node.closest("details").open = true;
    $("#pre-layout", this.node).focus();
  }

  submit(event) {
    event.preventDefault();
    const divide = Number($("#pre-divide", this.node).value);
    const mean = numbers($("#pre-mean", this.node).value);
    const std = numbers($("#pre-std", this.node).value);
    const fault = problem(divide, mean, std);
    this.error = fault;
    if (fault) return;
    const layout = $("#pre-layout", this.node).value;
    this.node.dispatchEvent(new CustomEvent("preprocessing-change", { detail: { layout, divide, mean, std } }));
  }

  set error(message) {
    const node = $("#pre-error", this.node);
    if (!node) return;
    node.hidden = !message;
    node.textContent = message ?? "";
  }
}

function problem(divide, mean, std) {
  if (!(divide > 0)) return "Divide by a number above zero.";
  if ([...mean, ...std].some((value) => !Number.isFinite(value))) return "Mean and std are numbers with commas between them.";
  if (std.some((value) => value <= 0)) return "Each std is above zero.";
  if (mean.length && std.length && mean.length !== std.length) return "Mean and std need the same count of numbers.";
  return "";
}
