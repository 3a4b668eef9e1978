// Which candidate is best for these goals, limits and locks. The same formula as selector/reward.py:
// a weighted sum of accuracy (minus the points lost, over 5, floored at −1) and, for each cost, log2 of
// the ratio to the original over log2 of the best attainable ratio. Limits filter first.

export const GOALS = ["accuracy", "latency", "energy", "storage"];
const POINTS_SCALE = 5;
const LEAST_POINTS = 1; // a limit of zero points must not divide by zero

/** Limit keys and the candidate's field that each one bounds. */
export const LIMITS = {
  max_accuracy_drop: "drop_points",
  max_latency_ms: "latency_ms",
  max_energy_mj: "energy_mj",
  max_size_bytes: "size_bytes",
};

/** Shares that sum to 1; all at zero means equal shares. */
export function normalised(goals) {
  const values = GOALS.map((goal) => Math.max(0, Number(goals[goal]) || 0));
  const total = values.reduce((sum, value) => sum + value, 0);
  return Object.fromEntries(GOALS.map((goal, i) => [goal, total > 0 ? values[i] / total : 1 / GOALS.length]));
}

/** Candidates with what does not depend on the sliders worked out once: the four terms. */
export function prepare(candidates, baseline, bestLog2) {
  return candidates.map((candidate) => ({ candidate, terms: terms(candidate, baseline, bestLog2) }));
}

/** The four terms of the score, in the order of GOALS. */
export function terms(candidate, baseline, bestLog2) {
  const gain = (base, value, best) => (best > 0 && value > 0 ? Math.log2(base / value) / best : 0);
  return [
    Math.max(-1, -candidate.drop_points / POINTS_SCALE),
    gain(baseline.latency_ms, candidate.latency_ms, bestLog2.latency),
    gain(baseline.energy_mj, candidate.energy_mj, bestLog2.energy),
    gain(baseline.size_bytes, candidate.size_bytes, bestLog2.storage),
  ];
}

/** How far over its limits a candidate is: 0 when it keeps them all, else the sum of relative excesses. */
export function excess(candidate, budgets) {
  let total = 0;
  for (const key in LIMITS) {
    const limit = budgets[key];
    if (limit === null || limit === undefined) continue;
    const value = candidate[LIMITS[key]];
    if (value > limit) total += (value - limit) / Math.max(limit, key === "max_accuracy_drop" ? LEAST_POINTS : 1e-9);
  }
  return total;
}

/** Whether a candidate's tiles agree with the locked and excluded layers; without tiles nobody knows. */
export function respects(candidate, locks) {
  if (!candidate.tiles?.length) return false;
  for (const tile of candidate.tiles) {
    const lock = locks[tile.layer];
    if (lock && !tileRespects(tile, lock)) return false;
  }
  return true;
}

function tileRespects(tile, lock) {
  const used = String(tile.technique ?? "keep").split("+");
  if (lock === "keep") return used.length === 1 && used[0] === "keep";
  if (lock.exclude) return !used.some((technique) => lock.exclude.includes(technique));
  // Levels are compared by the server's answer only.
  if (lock.treatments) return used.length === Object.keys(lock.treatments).length && used.every((technique) => technique in lock.treatments);
  return used.includes(lock.technique);
}

/**
 * The best candidate for normalised shares. When none keeps every limit, the nearest: least excess,
 * then best score. `feasible` says which of the two it is.
 */
export function best(prepared, shares, budgets, locks = {}) {
  const weights = GOALS.map((goal) => shares[goal]);
  const locked = Object.keys(locks).length > 0;
  let winner = null;
  let winnerScore = -Infinity;
  let winnerExcess = Infinity;
  let within = 0;
  for (const { candidate, terms: t } of prepared) {
    const over = excess(candidate, budgets) + (locked && !respects(candidate, locks) ? 1e6 : 0);
    if (over === 0) within += 1;
    if (over > winnerExcess) continue;
    const score = weights[0] * t[0] + weights[1] * t[1] + weights[2] * t[2] + weights[3] * t[3];
    if (over < winnerExcess || score > winnerScore) {
      [winner, winnerScore, winnerExcess] = [candidate, score, over];
    }
  }
  return { candidate: winner, score: winnerScore, feasible: winnerExcess === 0, within };
}
