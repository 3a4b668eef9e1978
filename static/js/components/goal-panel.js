// Presets, four goals with their limits, and the note that says how many candidates stay within.
// Emits "goals-moved" (each frame of a drag), "goals-set" (on release) and "limits-set".
import "./goal-slider.js";
import { $, $$, setText } from "../lib/dom.js";
import { conflictText, limitState, looseningText, nearestText } from "../lib/limits.js";
import { GOALS, normalised } from "../lib/score.js";

const SPECS = [
  { name: "accuracy", title: "Accuracy", limitWord: "Lose at most", unit: "points", step: 0.1, budget: "max_accuracy_drop", scale: 1, estimate: "accuracy_drop_points" },
  { name: "latency", title: "Latency", limitWord: "At most", unit: "ms", step: "any", budget: "max_latency_ms", scale: 1, estimate: "latency_ms" },
  { name: "energy", title: "Energy", limitWord: "At most", unit: "mJ", step: "any", budget: "max_energy_mj", scale: 1, estimate: "energy_mj" },
  { name: "storage", title: "Storage", limitWord: "At most", unit: "MB", step: "any", budget: "max_size_bytes", scale: 1e6, estimate: "size_bytes" },
];
const PRESETS = {
  Balanced: [60, 50, 50, 40],
  Fastest: [15, 100, 25, 10],
  Smallest: [30, 5, 5, 100],
  "Longest battery": [30, 20, 90, 15],
  "Most accurate": [100, 30, 25, 20],
};

/* A number as a person would type it: "1.0" and "0.15", not "1" and "0.150". */
function typed(value, digits) {
  const text = String(Number(value.toPrecision(digits)));
  return Number(text) < 10 && Number.isInteger(Number(text)) ? `${text}.0` : text;
}

export class GoalPanel {
  constructor({ presets, goals, note }) {
    Object.assign(this, { presets, goals, note });
    presets.innerHTML = Object.keys(PRESETS).map((name) => `<button type="button" class="chip" value="${name}" aria-pressed="false">${name}</button>`).join("");
    this.sliders = SPECS.map((spec) => {
      const slider = document.createElement("goal-slider");
      goals.append(slider);
      slider.goal = { ...spec, usual: PRESETS.Balanced[SPECS.indexOf(spec)] };
      return slider;
    });
    presets.addEventListener("click", (event) => this.preset(event.target.closest("button")?.value));
    goals.addEventListener("goal-input", () => this.moved());
    goals.addEventListener("goal-change", () => this.emit("goals-set"));
    goals.addEventListener("limit-change", () => this.emit("limits-set"));
    this.showShares();
  }

  /** Normalised shares by goal. */
  get shares() {
    return normalised(Object.fromEntries(GOALS.map((goal, i) => [goal, this.sliders[i].value])));
  }

  /** Limits in the engine's units; null where there is none. */
  get budgets() {
    return Object.fromEntries(SPECS.map((spec, i) => {
      const limit = this.sliders[i].limit;
      return [spec.budget, limit === null ? null : limit * spec.scale];
    }));
  }

  /** What stands in the fields, letter for letter: [{value, limit, on}] in the order of the goals. */
  get typed() {
    return this.sliders.map((slider) => ({ value: slider.value, limit: slider.max.value, on: slider.on.checked }));
  }

  set typed(fields) {
    fields.forEach(({ value, limit, on }, i) => {
      this.sliders[i].value = value;
      this.sliders[i].setLimit(limit, on);
    });
    this.mark(this.matching());
    this.showShares();
  }

  /** Sets sliders and limits from saved settings; `suggest` fills the limits that are off. */
  load({ goals = {}, budgets = {} }, suggest = {}) {
    const shares = normalised(goals);
    const factor = Math.min(200, 100 / Math.max(...GOALS.map((goal) => shares[goal])));
    this.sliders.forEach((slider, i) => {
      slider.value = Math.round(shares[GOALS[i]] * factor);
      const limit = budgets[SPECS[i].budget] ?? null;
      const shown = limit ?? suggest[SPECS[i].budget] ?? null;
      slider.setLimit(shown === null ? null : typed(shown / SPECS[i].scale, limit === null ? 2 : 6), limit !== null);
    });
    this.mark(this.matching());
    this.showShares();
  }

  /** Sets one limit, in the engine's unit; null takes it away and leaves what was typed. */
  setBudget(name, value) {
    const i = SPECS.findIndex(({ budget }) => budget === name);
    this.sliders[i].setLimit(value === null ? null : typed(value / SPECS[i].scale, 3), value !== null);
  }

  /** Fills limits that are off with a starting value, where the field is still empty: half of what the original takes. */
  suggest(baseline) {
    const values = { max_accuracy_drop: 1, max_latency_ms: baseline.latency_ms / 2, max_energy_mj: baseline.energy_mj / 2, max_size_bytes: baseline.size_bytes / 4 };
    this.sliders.forEach((slider, i) => {
      const value = values[SPECS[i].budget];
      if (slider.max.value === "") slider.setLimit(typed(value / SPECS[i].scale, 2), false);
    });
  }

  moved() {
    this.mark(null);
    this.emit("goals-moved");
  }

  preset(name) {
    if (!name) return;
    this.sliders.forEach((slider, i) => {
      slider.value = PRESETS[name][i];
    });
    this.mark(name);
    this.showShares();
    this.emit("goals-moved");
    this.emit("goals-set");
  }

  matching() {
    const { shares } = this;
    const same = (values) => {
      const preset = normalised(Object.fromEntries(GOALS.map((goal, i) => [goal, values[i]])));
      return GOALS.every((goal) => Math.abs(preset[goal] - shares[goal]) < 0.012);
    };
    return Object.keys(PRESETS).find((name) => same(PRESETS[name])) ?? null;
  }

  mark(name) {
    for (const button of $$("button", this.presets)) button.setAttribute("aria-pressed", String(button.value === name));
  }

  showShares() {
    const { shares } = this;
    this.sliders.forEach((slider, i) => slider.showShare(shares[GOALS[i]]));
  }

  /** Writes the state of each limit for a prediction with bands. */
  showStates(prediction, budgets) {
    this.sliders.forEach((slider, i) => {
      const { budget, estimate } = SPECS[i];
      const value = prediction?.[estimate];
      slider.showState(limitState(budgets[budget], value?.value, value?.high));
    });
  }

  /** How many candidates stay within; or, when none does, what to loosen. */
  showNote({ within, total, met, needed, locked, conflict = null, nearest = {} }) {
    if (within || met || !total) return setText(this.note, this.withinText(within, total, locked));
    const advice = conflict
      ? [conflictText(conflict), looseningText(conflict.alone), nearestText(nearest)].join(" ")
      : `Showing the nearest. ${looseningText(needed)}`;
    if ($("span", this.note)?.textContent === advice) return;
    this.note.innerHTML = '<b class="bad">By the predictions no recipe meets every limit.</b> <span></span>';
    $("span", this.note).textContent = advice;
  }

  withinText(within, total, locked) {
    if (!total) return "";
    const any = Object.values(this.budgets).some((limit) => limit !== null);
    if (!any && !locked) return `${total} candidates, no limits set.`;
    const bounds = [any && "limits", locked && "locks"].filter(Boolean).join(" and ");
    if (!within) return `No stored candidate stays within your ${bounds}, but the selector found a recipe that does.`;
    return `${within} of ${total} candidates stay within your ${bounds}. “Likely” means the estimate passes but its band crosses the limit.`;
  }

  emit(type) {
    this.goals.dispatchEvent(new CustomEvent(type, { bubbles: true }));
  }
}
