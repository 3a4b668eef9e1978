// States of projects, studies and jobs in the user's words, and the stages in order.
export const STAGES = {
  INSPECT: "Inspect",
  PROBE: "Probe",
  SEARCH: "Search",
  VALIDATE: "Validate",
  RECOVER: "Recover",
  EXPORT: "Export & verify",
  MEASURE: "Measure",
  PACKAGE: "Package",
};

export const stageName = (stage) => STAGES[stage] ?? stage ?? "";

const PILLS = {
  queued: ["", "Queued"],
  running: ["info", "Running"],
  paused: ["", "Paused"],
  ready: ["good", "Ready"],
  done: ["good", "Finished"],
  missed: ["warn", "Target missed, best saved"],
  infeasible: ["warn", "Limits can't be met, nearest saved"],
  cancelled: ["", "Cancelled"],
  failed: ["bad", "Failed"],
};

/** [tone, words] of a state; a failure says at which stage. */
export function pillOf(state, stage = "", share = null) {
  const [tone, words] = PILLS[state] ?? ["", String(state ?? "")];
  if (state === "failed" && stage) return [tone, `Failed at ${stageName(stage)}`];
  if (state === "running" && share !== null && share !== undefined) return [tone, `Running, ${Math.round(share * 100)} %`];
  return [tone, words];
}

export const isActive = (state) => state === "queued" || state === "running";

export const isDelivered = (state) => ["done", "missed", "infeasible"].includes(state);
