// Why a layer is treated as it is: one clause with a figure, from the answer's own numbers.
import { bytes, predicted, ratio } from "./format.js";
import { titleOf } from "./techniques.js";

/* What became of a layer that a choice made for another one took out. */
const GONE = {
  global_average_pooling: "Left out: an average takes its place",
  pool_to_stride: "Left out: the convolution before it takes its steps",
  block_removal: "Left out with its residual block",
  merge_linear: "Left out: merged with the layer before it",
};

const share = (part, whole) => {
  const percent = whole > 0 ? (100 * part) / whole : 0;
  return percent < 1 ? "under 1 %" : `${Math.round(percent)} %`;
};

/* In a narrow column a number stays with its sign. */
const unbroken = (text) => text.replace(/(\d) ?%/g, "$1\u00a0%");

/** rows: SELECTION.layers; gives each row a `why` where the server sent none. */
export function withReasons(rows, isTreatable = () => true) {
  const before = rows.reduce((sum, row) => sum + (row.ms_before ?? 0), 0);
  return rows.map((row) => {
    if (row.why) return { ...row, why: sentence(row.why) };
    return row.ms_after === undefined ? row : { ...row, why: unbroken(reason(row, before, isTreatable(row.layer))) };
  });
}

/**
 * The engine's clauses begin small, set no space before the percent sign, and of stacked techniques each
 * says the same; the pages write them as one sentence.
 */
export function sentence(text) {
  const clauses = [...new Set(text.split("; "))].join("; ");
  return unbroken(clauses[0].toUpperCase() + clauses.slice(1));
}

function reason(row, totalMs, treatable) {
  const time = `${share(row.ms_before, totalMs)} of the time`;
  if (row.technique === "keep") return kept(row, time, treatable);
  if (!row.params_after && !row.macs_after) return GONE[row.technique] ?? "Left out with the layer before it";
  const fewer = row.macs_before / Math.max(1, row.macs_after);
  if (fewer >= 1.05) return `${time}; ${ratio(fewer)} fewer multiply–adds`;
  const smaller = row.params_before / Math.max(1, row.params_after);
  return smaller >= 1.05 ? `${time}; ${ratio(smaller)} fewer parameters` : time;
}

/* A layer that is kept may still get cheaper: the one before it hands over fewer channels. */
function kept(row, time, treatable) {
  const saved = row.ms_before - row.ms_after;
  if (saved > 0.05 * row.ms_before && row.macs_after < 0.97 * row.macs_before) return `${time}; fewer channels arrive, ${predicted((100 * saved) / row.ms_before)} % faster`;
  if (row.params_after < 0.97 * row.params_before) return `${time}; fewer channels arrive`;
  return treatable ? `${time}; no change pays here` : `${time}; nothing here to compress`;
}

const BROKEN = { max_accuracy_drop: "accuracy", max_latency_ms: "latency", max_energy_mj: "energy", max_size_bytes: "storage" };
const LEAST_SHARE_MS = 5e-4;

/* What another choice would change: {drop_points, latency_ms, energy_mj, size_bytes, breaks}. */
function changeText({ latency_ms: ms = 0, energy_mj: mj = 0, size_bytes: size = 0, drop_points: points = 0, breaks = [] }, micro) {
  const parts = [];
  if (Math.abs(ms) >= (micro ? 1e-6 : LEAST_SHARE_MS)) parts.push(`${micro ? `${predicted(1000 * Math.abs(ms))} µs` : `${predicted(Math.abs(ms))} ms`} ${ms > 0 ? "slower" : "faster"}`);
  if (Math.abs(mj) >= (micro ? 1e-6 : LEAST_SHARE_MS)) parts.push(`${micro ? `${predicted(1000 * Math.abs(mj))} µJ` : `${predicted(Math.abs(mj))} mJ`} ${mj > 0 ? "more" : "less"} energy`);
  if (Math.abs(size) >= 1) parts.push(`${bytes(Math.abs(size))} ${size > 0 ? "larger" : "smaller"}`);
  if (Math.abs(points) >= 0.05) parts.push(`${Math.abs(points).toFixed(1)} points ${points < 0 ? "more" : "less"} accurate`);
  const limits = breaks.map((name) => BROKEN[name]).filter(Boolean);
  if (!parts.length && !limits.length) return "";
  return `${parts.join(", ")}${limits.length ? `; it would break your limit on ${limits.join(" and ")}` : ""}`;
}

/** The price of leaving a layer as it was, in words and numbers; empty where there is none. */
export function undoText(undo, micro = false) {
  const text = changeText(undo, micro);
  return text && `Leaving this layer untouched instead: ${text}.`;
}

/** Another way to treat a layer, and what it would change. */
export function alternativeText({ technique, level, change }, micro = false) {
  const text = changeText(change, micro) || "next to no change";
  return `Instead ${titleOf(technique)}${level ? ` (${level})` : ""}: ${text}.`;
}
