// Timing small networks in a browser: the clock's coarseness, batches well above it, and what the runs
// say. Nothing here knows the page, the worker or the runtime.

/** Rounds over all graphs: start, middle and end, so that a device that slows down shows it. */
export const ROUNDS = 3;
/** Above this the device changed its speed while it was measured, and the page says so. */
export const MOST_DRIFT = 0.15;
/** A clock coarser than this cannot time a network within a sensible time limit. */
export const COARSEST_STEP_MS = 5;

const STEPS_A_BATCH = 50; // the clock is off by two steps at the most: 4 % of one batch, less of a median
const SHORTEST_BATCH_MS = 4;
const LARGEST_BATCH = 2000;
const MOST_BATCHES = 20;
const LONGEST_VISIT_MS = 450;
const WARM_UP_SHARE = 0.25;
const CLOCK_CHANGES = 9;

/** Linear between the values on either side, as NumPy does it. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

export const median = (values) => quantile(values, 0.5);

/** Milliseconds between two readings of a clock that differ. */
export function clockStep(now) {
  const steps = [];
  let last = now();
  while (steps.length < CLOCK_CHANGES) {
    const next = now();
    if (next > last) steps.push(next - last);
    last = next;
  }
  return median(steps);
}

/** How many runs make a batch that lasts well above the clock's step. */
export function batchSize(run_ms, step_ms) {
  const lasting_ms = Math.max(SHORTEST_BATCH_MS, STEPS_A_BATCH * step_ms);
  return Math.min(LARGEST_BATCH, Math.max(1, Math.ceil(lasting_ms / Math.max(run_ms, 1e-6))));
}

/** How long one graph may take now, so that all visits still to come fit into what is left. */
export const visitLimit = (left_ms, visits) => Math.min(LONGEST_VISIT_MS, Math.max(0, left_ms) / visits);

/**
 * Warms a graph up, then times batches. Gives the milliseconds of a run in each batch.
 * go() lets others have their turn; the visit ends when it answers no.
 */
export async function timedBatches(run, { now, step_ms, limit_ms, go }) {
  const started = now();
  await run();
  const first_ms = now() - started;
  if (first_ms > limit_ms) return [first_ms]; // too slow for more than one run
  const size = batchSize(await warmedUp(run, now, limit_ms * WARM_UP_SHARE), step_ms);
  const runs = [];
  do {
    runs.push(await meanOf(run, size, now));
  } while (runs.length < MOST_BATCHES && now() - started < limit_ms && (await go()));
  return runs;
}

async function warmedUp(run, now, lasting_ms) {
  const from = now();
  let count = 0;
  do {
    await run();
    count += 1;
  } while (now() - from < lasting_ms);
  return (now() - from) / count;
}

async function meanOf(run, size, now) {
  const from = now();
  for (let i = 0; i < size; i += 1) await run();
  return (now() - from) / size;
}

/**
 * The slowest round over the fastest, less one; each graph is compared with itself.
 * graphs: for each graph the runs of its rounds. Graphs that missed a round say nothing.
 */
export function driftOf(graphs) {
  const whole = graphs.filter((rounds) => rounds.length === ROUNDS);
  if (!whole.length) return 0;
  const pace = Array.from({ length: ROUNDS }, (_, round) => median(whole.map((rounds) => median(rounds[round]) / median(rounds[0]))));
  return Math.max(...pace) / Math.min(...pace) - 1;
}
