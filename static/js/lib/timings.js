// How long the script of each slider step took, for tests and for the curious: window.adadeepTimings.
const KEEP = 500;
const timings = { input: [], answer: [] };
if (typeof window !== "undefined") window.adadeepTimings = timings;

/** Adds one figure in milliseconds. */
export function record(kind, ms) {
  const list = (timings[kind] ??= []);
  list.push(ms);
  if (list.length > KEEP) list.shift();
}
