// What a limit's line says: met, likely, not met, no limit; and which one to loosen by how much.
import { LIMITS } from "./score.js";
import { predicted, significant } from "./format.js";

/**
 * "met" only if the upper end of the band passes; "likely" if the estimate passes but its band
 * crosses the limit; "not met" otherwise; "no limit" when off.
 */
export function limitState(limit, value, high) {
  if (limit === null || limit === undefined) return "no limit";
  if (!Number.isFinite(value)) return "unknown";
  if (high <= limit) return "met";
  return value <= limit ? "likely" : "not met";
}

export const STATE_LOOK = {
  met: ["good", "tick"],
  likely: ["warn", "warn"],
  "not met": ["bad", "cross"],
  "no limit": ["muted", null],
  unknown: ["muted", null],
};

const WORDS = {
  max_accuracy_drop: (value) => `allow ${ceil(value, 1).toFixed(1)} points`,
  max_latency_ms: (value) => `loosen latency to ${up(value)} ms`,
  max_energy_mj: (value) => `loosen energy to ${up(value)} mJ`,
  max_size_bytes: (value) => `loosen storage to ${up(value / 1e6)} MB`,
};

const NEEDS = {
  max_accuracy_drop: (value) => `${ceil(value, 1).toFixed(1)} points`,
  max_latency_ms: (value) => `${up(value)} ms`,
  max_energy_mj: (value) => `${up(value)} mJ`,
  max_size_bytes: (value) => `${up(value / 1e6)} MB`,
};

const ceil = (value, decimals) => Math.ceil(value * 10 ** decimals - 1e-9) / 10 ** decimals;

/* Two digits, rounded up: the advice must still hold when it is typed in. */
function up(value) {
  if (value <= 0) return "0";
  const decimals = Math.max(0, 1 - Math.floor(Math.log10(value)));
  return String(Number(ceil(value, Math.min(decimals, 4)).toFixed(Math.min(decimals, 4))));
}

/** A limit some steps up or down: `step` is a number, or "any" for one in the second digit. */
export function stepped(value, steps, step) {
  if (step !== "any") return Math.max(0, Number((value + steps * step).toFixed(3)));
  const way = Math.sign(steps);
  let found = value > 0 ? value : 0.01;
  for (let left = Math.abs(steps); left > 0; left -= 1) {
    const digit = 10 ** (Math.floor(Math.log10(way > 0 ? found * (1 + 1e-9) : found * (1 - 1e-9))) - 1);
    const count = way > 0 ? Math.floor(found / digit + 1e-6) : Math.ceil(found / digit - 1e-6);
    found = Number(((count + way) * digit).toPrecision(2));
  }
  return found;
}

/** For each limit, the value that alone would let some candidate in: {max_latency_ms: 1.9}. */
export function loosening(candidates, budgets) {
  const active = Object.keys(LIMITS).filter((key) => budgets[key] !== null && budgets[key] !== undefined);
  const needed = {};
  for (const key of active) {
    const others = active.filter((other) => other !== key);
    const fits = candidates.filter((c) => others.every((other) => c[LIMITS[other]] <= budgets[other]));
    const least = Math.min(...fits.map((c) => c[LIMITS[key]]));
    if (Number.isFinite(least) && least > budgets[key]) needed[key] = least;
  }
  return needed;
}

export const SPOKEN = { max_accuracy_drop: "accuracy", max_latency_ms: "latency", max_energy_mj: "energy", max_size_bytes: "storage" };

/** Which limits exclude each other: "Your limits on accuracy and latency exclude each other." */
export function conflictText({ sets, unsure = false }) {
  const sentences = sets.map((names) => {
    const spoken = names.map((name) => SPOKEN[name]);
    if (spoken.length === 1) return `No recipe found reaches your limit on ${spoken[0]}.`;
    return `Your limits on ${spoken.slice(0, -1).join(", ")} and ${spoken.at(-1)} exclude each other.`;
  });
  if (unsure) sentences.push("Predictions of accuracy are so rough here that a build may keep them all the same.");
  return sentences.join(" ");
}

/** What the nearest recipe would need, all at once: "The nearest needs latency 1.9 ms and 1.3 points." */
export function nearestText(nearest) {
  const ways = Object.entries(nearest).filter(([key]) => NEEDS[key]).map(([key, value]) => NEEDS[key](value));
  return ways.length ? `The nearest needs ${ways.length > 1 ? `${ways.slice(0, -1).join(", ")} and ${ways.at(-1)}` : ways[0]}.` : "";
}

/** The sentence of advice: "Loosen latency to 1.9 ms, or allow 1.3 points." */
export function looseningText(needed) {
  const ways = Object.entries(needed).filter(([key]) => WORDS[key]).map(([key, value]) => WORDS[key](value));
  if (!ways.length) return "No single limit is enough to loosen.";
  const sentence = ways.join(", or ");
  return `${sentence[0].toUpperCase()}${sentence.slice(1)}.`;
}

/* Somebody typed it, so a small one is written out: "at most <0.01 MB" would say nothing. */
const asked = (value) => (value < 0.01 ? String(Number(value.toPrecision(2))) : predicted(value));

/** A limit with its unit, as the chart and the tables write it. */
export function limitText(key, value) {
  if (key === "max_accuracy_drop") return `${value.toFixed(1)} points lost`;
  if (key === "max_latency_ms") return `${asked(value)} ms`;
  if (key === "max_energy_mj") return `${asked(value)} mJ`;
  return `${asked(value / 1e6)} MB`;
}

/** What fine-tuning has to do for a recipe: said when it matters, and when the limit hangs on it. */
export function recoveryText({ accuracy_drop_points: tuned, untuned_drop_points: untuned }, limit = null) {
  if (!untuned || untuned.value - tuned.value < 0.5) return "";
  const span = ({ value, low, high }) => `${value.toFixed(1)} points (${low.toFixed(1)}–${high.toFixed(1)})`;
  const needed = limit !== null && untuned.value > limit && tuned.value <= limit;
  return `${needed ? "Your accuracy limit is met only with fine-tuning: without it" : "Without fine-tuning"} this recipe would lose about ${span(untuned)}, with it ${span(tuned)}.`;
}

const BROKEN = {
  max_accuracy_drop: (value, limit) => `loses ${value} points, limit ${limit}`,
  max_latency_ms: (value, limit) => `latency ${value} ms, limit ${limit}`,
  max_energy_mj: (value, limit) => `energy ${value} mJ, limit ${limit}`,
  max_size_bytes: (value, limit) => `size ${value} MB, limit ${limit}`,
};

/* Two digits, or as many as it takes to tell them apart. */
function apart(value, limit, digits = 2) {
  const texts = [value, limit].map((number) => (number < 0.01 ? String(Number(number.toPrecision(digits))) : significant(number, digits)));
  return texts[0] !== texts[1] || digits > 5 ? texts : apart(value, limit, digits + 1);
}

/** Which limits a candidate breaks, and by how much: ["latency 3.1 ms, limit 2.0"]. */
export function brokenLimits(candidate, budgets) {
  const broken = Object.keys(LIMITS).filter((key) => candidate[LIMITS[key]] > (budgets[key] ?? Infinity));
  const scale = (key, value) => (key === "max_size_bytes" ? value / 1e6 : value);
  return broken.map((key) => BROKEN[key](...apart(scale(key, candidate[LIMITS[key]]), scale(key, budgets[key]))));
}
