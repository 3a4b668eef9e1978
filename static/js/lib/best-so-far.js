// The "best so far" card of a job: of a study its best candidate, of a build what it is expected to give
// and, once measured, what it gave.
import { predictionOf } from "./bands.js";
import { limitText } from "./limits.js";
import { GOALS } from "./score.js";
import { chosenBy } from "./selectors.js";
import { isActive } from "./states.js";

/** {title, id, baseline, estimate}, or null while there is nothing to show. */
export function bestOf(job, figures, newest) {
  return job.kind === "build" ? ofBuild(job, figures.outcome) : ofStudy(job, figures.baseline, newest ?? job.best);
}

function ofBuild(job, outcome) {
  if (!outcome?.estimate) return null;
  const { baseline, estimate } = outcome;
  if (outcome.is_measured) return { title: "Result", id: "· measured", baseline, estimate };
  return { title: isActive(job.state) ? "What is being built" : "What was being built", id: "· as predicted", baseline, estimate };
}

function ofStudy(job, baseline, best) {
  if (!best?.latency_ms || !baseline?.bands) return null;
  const { latency_ms: latency, energy_mj: energy } = baseline.bands;
  const labels = { latency: baseline.labels.latency_ms, energy: baseline.labels.energy_mj, size: "exact", accuracy: best.validated ? "measured" : "rough" };
  return {
    title: isActive(job.state) ? "Best so far" : "Best candidate",
    id: best.id === undefined ? "" : `· candidate ${best.id}`,
    baseline,
    estimate: predictionOf(best, { latency, energy, size: [1, 1], labels }),
  };
}

/** What a build was asked for: "Accuracy 40 %, latency 20 % · at most 1.0 points lost · chosen by greedy search". */
export function wishesText(wanted, selector = null) {
  if (!wanted) return "";
  const total = GOALS.reduce((sum, goal) => sum + (wanted.goals[goal] ?? 0), 0) || 1;
  const shares = GOALS.filter((goal) => wanted.goals[goal] > 0).map((goal) => `${goal} ${Math.round((100 * wanted.goals[goal]) / total)} %`);
  const limits = Object.entries(wanted.budgets).filter(([, limit]) => limit !== null).map(([name, limit]) => limitText(name, limit));
  const goals = shares.join(", ");
  return [goals && goals[0].toUpperCase() + goals.slice(1), limits.length ? `at most ${limits.join(", ")}` : "no limits", chosenBy(selector, wanted.classic)].filter(Boolean).join(" · ");
}
