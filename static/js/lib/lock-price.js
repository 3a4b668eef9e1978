// What a lock costs, in the numbers that changed: "Locking conv4_2 costs 0.3 ms and 0.1 points."
import { bytes, predicted } from "./format.js";

const noticeable = (change, base, share = 0.005) => Math.abs(change) > share * Math.abs(base);

/** One sentence for two predictions, before and after the lock. */
export function lockPrice(layer, action, before, after) {
  const costs = [];
  const gains = [];
  const add = (change, text) => (change > 0 ? costs : gains).push(text);
  const ms = after.latency_ms.value - before.latency_ms.value;
  if (noticeable(ms, before.latency_ms.value)) add(ms, `${predicted(Math.abs(ms))} ms`);
  const size = after.size_bytes.value - before.size_bytes.value;
  if (noticeable(size, before.size_bytes.value)) add(size, bytes(Math.abs(size)));
  const points = after.accuracy_drop_points.value - before.accuracy_drop_points.value;
  if (Math.abs(points) >= 0.05) add(points, `${Math.abs(points).toFixed(1)} points`);
  const what = { exclude: `Leaving ${layer} untouched`, use: `Requiring this on ${layer}`, forbid: `Forbidding this on ${layer}`, take: `Taking this on ${layer}` }[action] ?? `Locking ${layer}`;
  if (!costs.length && !gains.length) return `${what} costs nothing.`;
  if (!costs.length) return `${what} saves ${listed(gains)}.`;
  return `${what} costs ${listed(costs)}${gains.length ? ` and saves ${listed(gains)}` : ""}.`;
}

const listed = (items) => (items.length < 3 ? items.join(" and ") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`);
