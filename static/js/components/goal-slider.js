// One goal: a slider whose share is shown, and its limit with a state. Emits "goal-input" while
// dragging, "goal-change" on release, "limit-change" when the limit is typed or ticked.
import "./help-note.js";
import { setText } from "../lib/dom.js";
import { ICONS } from "../lib/icons.js";
import { STATE_LOOK, stepped } from "../lib/limits.js";

const template = ({ name, title, limitWord, unit, step, usual }) => `<fieldset class="goal"><legend class="sr">${title}</legend>
  <div class="head"><span class="with-help"><label for="goal-${name}">${title}</label><help-note term="goal_${name}"></help-note></span><output for="goal-${name}"></output></div>
  <input type="range" id="goal-${name}" min="0" max="100" step="1" value="25" title="Double-click: back to ${usual}">
  <div class="cap"><label class="check"><input type="checkbox"> ${limitWord}</label>
    <input class="input num" type="number" inputmode="decimal" min="0" step="${step}" aria-label="${title} limit in ${unit}"> ${unit}
    <span class="state"></span></div></fieldset>`;

class GoalSlider extends HTMLElement {
  /** {name, title, limitWord, unit, step, usual}: what the goal is called, what its limit counts in, where it usually stands. */
  set goal(goal) {
    this.spec = goal;
    this.innerHTML = template(goal);
    const [range, on, max] = this.querySelectorAll("input");
    Object.assign(this, { range, on, max, share: this.querySelector("output"), stateNode: this.querySelector(".state") });
    range.addEventListener("input", () => this.emit("goal-input"));
    range.addEventListener("change", () => this.emit("goal-change"));
    on.addEventListener("change", () => this.emit("limit-change"));
    max.addEventListener("input", () => this.typed());
    max.addEventListener("keydown", (event) => this.stepLimit(event));
    range.addEventListener("keydown", (event) => this.paged(event));
    range.addEventListener("dblclick", () => this.set(goal.usual));
  }

  get value() {
    return Number(this.range.value);
  }

  set value(value) {
    this.range.value = value;
  }

  /** The limit in the slider's unit, or null when it is off or empty. */
  get limit() {
    const value = Number(this.max.value);
    return this.on.checked && this.max.value !== "" && value >= 0 ? value : null;
  }

  setLimit(value, on) {
    if (value !== null && value !== undefined) this.max.value = String(value);
    this.on.checked = on;
  }

  typed() {
    const valid = this.max.value === "" || Number(this.max.value) >= 0;
    this.max.setAttribute("aria-invalid", String(!valid));
    this.emit("limit-change");
  }

  /* A browser's own step is 1, whether latencies are 0.05 or 500 ms. */
  stepLimit(event) {
    const steps = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!steps || this.spec.step !== "any" || this.max.value === "") return;
    event.preventDefault();
    this.max.value = String(stepped(Number(this.max.value), steps, "any"));
    this.typed();
  }

  /* Page Up and Down move by ten, as the other browsers' sliders do. */
  paged(event) {
    const step = { PageUp: 10, PageDown: -10 }[event.key];
    if (!step) return;
    event.preventDefault();
    this.set(Math.min(100, Math.max(0, this.value + step)));
  }

  /* As if the hand had moved it there and let go. */
  set(value) {
    this.value = value;
    this.emit("goal-input");
    this.emit("goal-change");
  }

  showShare(share) {
    const { value } = this;
    const percent = Math.round(share * 100);
    this.range.style.setProperty("--pos", `calc(9px + (100% - 18px) * ${value / 100})`);
    setText(this.share, `${percent} %`);
    this.range.setAttribute("aria-valuetext", `${value}, ${percent} percent of the goal`);
  }

  showState(state) {
    if (this.stateShown === state) return;
    this.stateShown = state;
    const [tone, icon] = STATE_LOOK[state];
    this.stateNode.className = `state ${tone}`;
    this.stateNode.innerHTML = `${icon ? ICONS[icon] : ""}${state}`;
  }

  emit(type) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, detail: this.spec.name }));
  }
}
customElements.define("goal-slider", GoalSlider);
