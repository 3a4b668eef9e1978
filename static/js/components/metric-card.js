// One headline number: arrow, ratio, absolute before → after with its band, badge. Never colour alone.
import { isAgreement } from "../lib/accuracy-kind.js";
import { setText } from "../lib/dom.js";
import { evidenceText, tierOf } from "../lib/evidence.js";
import { bytes, bytesRange, measured, measuredRatio, percent, predicted, ratio, range, signed } from "../lib/format.js";
import { ICONS } from "../lib/icons.js";

const SHELL = `<header></header><p class="value"><span class="arrow"></span><span class="number"></span><small></small></p>
  <p class="detail"><span class="from"></span><b class="to"></b> <span class="muted nowrap band"></span></p><span class="tier"></span>`;

/** Before anything is known: a dash, never a zero. */
export const WAITING = { number: "–", unit: "", from: "", to: "", band: "", label: "rough", text: "not known yet", way: null, tone: "" };

class MetricCard extends HTMLElement {
  connectedCallback() {
    if (this.parts) return;
    this.classList.add("metric");
    if (!this.hasAttribute("bare")) this.classList.add("card");
    this.innerHTML = SHELL;
    const part = (selector) => this.querySelector(selector);
    this.parts = { arrow: part(".arrow"), number: part(".number"), unit: part("small"), from: part(".from"), to: part(".to"), band: part(".band"), tier: part(".tier") };
    part("header").textContent = this.getAttribute("label");
    this.view = WAITING;
  }

  /** {number, unit, from, to, band, label, text, way: "down"|"up"|"same"|null, tone} as texts. */
  set view(view) {
    const { parts } = this;
    if (!parts) return;
    for (const name of ["number", "unit", "from", "to", "band"]) setText(parts[name], view[name]);
    setText(parts.tier, view.text);
    const tier = tierOf(view.label);
    if (parts.tier.dataset.tier !== tier) parts.tier.dataset.tier = tier;
    const arrow = `${view.way}|${view.tone}`;
    if (this.arrow === arrow) return;
    this.arrow = arrow;
    parts.arrow.className = `arrow ${view.tone}`;
    parts.arrow.innerHTML = view.way ? ICONS[view.way] : "";
  }
}
customElements.define("metric-card", MetricCard);

/** A cost (latency, energy, storage): ratio first, absolute second, range third. */
export function costView(base, estimate, { show, span = range, unit, words }) {
  if (!estimate || !(base > 0)) return WAITING;
  const gain = base / estimate.value;
  const better = gain >= 1;
  const shown = better ? gain : 1 / gain;
  const same = ratio(shown) === "1.0×";
  const isKnown = estimate.label === "measured" || estimate.label === "exact";
  const write = isKnown && show === predicted ? measured : show;
  // A band of a few percent is said by the badge alone; the line stays one line.
  const exact = estimate.label === "exact" || estimate.high <= 1.05 * estimate.value;
  return {
    number: same ? "1.0×" : (isKnown ? measuredRatio : ratio)(shown),
    unit: same ? "unchanged" : words[better ? 0 : 1],
    from: `${write(base)} → `,
    to: `${write(estimate.value)}${unit}`,
    band: exact ? "" : `(${span(estimate.low, estimate.high)})`,
    label: estimate.label,
    text: evidenceText(estimate.label, estimate.low / estimate.value, estimate.high / estimate.value),
    way: same ? "same" : better ? "down" : "up",
    tone: same ? "muted" : better ? "good" : "bad",
  };
}

export const COSTS = {
  latency_ms: { show: predicted, unit: " ms", words: ["faster", "slower"] },
  energy_mj: { show: predicted, unit: " mJ", words: ["less", "more"] },
  size_bytes: { show: bytes, span: bytesRange, unit: "", words: ["smaller", "larger"] },
};

/** Accuracy: points with their sign, before → after in percent with the band. */
export function accuracyView(baseAccuracy, drop, kind = "accuracy") {
  if (!drop || baseAccuracy === null || baseAccuracy === undefined) return WAITING;
  const after = (points) => baseAccuracy - points / 100;
  const half = (drop.high - drop.low) / 2;
  const lost = drop.value > 0.05;
  return {
    number: signed(-drop.value),
    unit: isAgreement(kind) ? "points of agreement" : "points",
    from: `${(baseAccuracy * 100).toFixed(1)} → `,
    to: percent(after(drop.value)),
    band: half > 0 ? `(${(after(drop.high) * 100).toFixed(1)}–${Math.min(100, after(drop.low) * 100).toFixed(1)})` : "",
    label: drop.label,
    text: drop.label === "measured" ? "measured" : `${drop.label === "rough" ? "rough" : "predicted"}${half > 0 ? ` ±${half.toFixed(1)} pt` : ""}`,
    way: lost ? "down" : drop.value < -0.05 ? "up" : "same",
    tone: lost ? "warn" : "good",
  };
}

/** One of the four numbers by its name, from the original and the estimate of a recipe. */
export function metricView(name, baseline, estimate, kind) {
  if (name === "accuracy") return accuracyView(baseline.accuracy, estimate.accuracy_drop_points, kind);
  return costView(baseline[name], estimate[name], COSTS[name]);
}
