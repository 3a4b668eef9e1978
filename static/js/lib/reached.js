// What a recipe reaches, in one line: "1.15× faster, 11.4× smaller, −0.3 pt".
import { measuredRatio, ratio, signed } from "./format.js";

function timesText(gain, show, better, worse, same) {
  const times = show(Math.max(gain, 1 / gain));
  if (times === show(1)) return same;
  return `${times} ${gain > 1 ? better : worse}`;
}

/** Of a finished build, measured. */
export function reachedText({ latency_ratio: speed, size_ratio: size, accuracy_points: points }, show = measuredRatio) {
  const faster = speed && timesText(speed, show, "faster", "slower", "as fast");
  const smaller = size && timesText(size, show, "smaller", "larger", "as large");
  return [faster, smaller, `${signed(points ?? 0)} pt`].filter(Boolean).join(", ");
}

/** Of any recipe: the original, and the values {value} that are predicted for it or were measured. */
export function expectedText(baseline, { latency_ms: latency, size_bytes: size, accuracy_drop_points: drop }) {
  const ratios = { latency_ratio: baseline.latency_ms / latency.value, size_ratio: baseline.size_bytes / size.value };
  return reachedText({ ...ratios, accuracy_points: -drop.value }, ratio);
}
