// The texts of a headline number: what changed, from what to what, in which band, and how that is known.
import { isAgreement } from "./accuracy-kind.js";
import { evidenceText } from "./evidence.js";
import { bytes, bytesRange, measured, measuredRatio, percent, predicted, ratio, range, signed } from "./format.js";

/** Before anything is known: a dash, never a zero. */
export const WAITING = { number: "–", unit: "", from: "", to: "", band: "", label: "rough", text: "not known yet", way: null, tone: "" };

/** A cost (latency, energy, storage): ratio first, absolute second, range third. */
function costView(base, estimate, { show, span = range, unit, words }) {
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

const COSTS = {
  latency_ms: { show: predicted, unit: " ms", words: ["faster", "slower"] },
  energy_mj: { show: predicted, unit: " mJ", words: ["less", "more"] },
  size_bytes: { show: bytes, span: bytesRange, unit: "", words: ["smaller", "larger"] },
};

/** Accuracy: points with their sign, before → after in percent with the band. */
function accuracyView(baseAccuracy, drop, kind = "accuracy") {
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
