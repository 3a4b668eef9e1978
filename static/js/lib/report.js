// What the result page reads off a report: rows of "measured against predicted", verdict, gauges.
import { accuracyTitle, isAgreement } from "./accuracy-kind.js";
import { bytes, bytesRange, measured, measuredRatio, percent, predicted, range, ratio, signed, whole } from "./format.js";
import { bandText, evidenceText } from "./evidence.js";
import { limitText } from "./limits.js";

const LIMIT_ROW = { max_latency_ms: "latency", max_energy_mj: "energy", max_size_bytes: "storage", max_accuracy_drop: "accuracy" };

const isHost = (report) => report.target === "this-host";
/** The target inside a sentence: "this computer", "Raspberry Pi 4B". */
export const targetTitle = (report) => String(report.target_title ?? report.target).replace(/^This /, "this ");

/** {tone, words, sentence}: all limits met, missed by how much, or none set. */
export function verdict(report) {
  const missed = (report.limits ?? []).filter((limit) => !limit.met);
  if (missed.length) {
    const sentence = [...missed.map(missedBy), ...(report.conflict?.sentences ?? [])].join(" ");
    const words = report.status === "infeasible" ? "Limits can't be met, nearest delivered" : "Limit missed, nearest delivered";
    return { tone: "warn", words, sentence };
  }
  if (report.status === "cancelled") return { tone: "", words: "Stopped early, best kept", sentence: "" };
  const unsure = (report.limits ?? []).some((limit) => !limit.sure);
  if (!report.limits?.length) return { tone: "good", words: "Done, no limits set", sentence: "" };
  return { tone: "good", words: unsure ? "Limits met, one by estimate" : "All limits met", sentence: "" };
}

/** What cut the build short, as a sentence. */
export const stoppedText = (by) => `${by === "request" ? "The build was told to finish early" : "The time limit was reached"}: this is the best found until then.`;

function missedBy({ name, limit, value }) {
  const kind = LIMIT_ROW[name];
  if (kind === "accuracy") return `You asked for at most ${limit.toFixed(1)} points lost; this model loses ${value.toFixed(1)}.`;
  return `You asked for at most ${limitText(name, limit)} of ${kind}; this model takes ${limitText(name, value)}.`;
}

/** The rows of the table: {goal, before, after, way, tone, change, label, evidence, expected, limit}. */
export function headlineRows(report) {
  const rows = [hostRow(report)];
  if (!isHost(report)) rows.push(targetRow(report, "latency_ms", "Latency", "ms", "target_latency", "faster", "slower"));
  rows.push(targetRow(report, "energy_mj", "Energy", "mJ", "target_energy", "less", "more"));
  rows.push(storageRow(report), accuracyRow(report));
  return rows;
}

function gain(value, better, worse, show = ratio) {
  const up = value >= 1;
  const words = show(up ? value : 1 / value);
  if (Number.parseFloat(words) === 1) return { way: "same", tone: "muted", change: "unchanged" };
  return { way: up ? "down" : "up", tone: up ? "good" : "bad", change: `${words} ${up ? better : worse}` };
}

function hostRow(report) {
  const [before, after] = [report.baseline.host_latency_ms, report.result.host_latency_ms];
  const expected = isHost(report) ? report.predicted?.latency_ms : null;
  const spread = report.ratio_ranges?.host_latency;
  const rounds = after.rounds ? `measured, ${after.rounds} paired rounds` : "measured, paired";
  return {
    goal: "Latency on this host",
    before: `${measured(before.p50)} ms`,
    after: `${measured(after.p50)} ms`,
    ...gain(report.ratios.host_latency, "faster", "slower", measuredRatio),
    note: spread && measured(spread[0]) !== measured(spread[1]) ? `${range(spread[0], spread[1], measured)}×` : "",
    label: "measured",
    evidence: rounds,
    expected: expected ? `${predicted(expected.result)} ms (${range(expected.low, expected.high)})` : "–",
    outside: expected ? after.p50 < expected.low || after.p50 > expected.high : false,
    limit: isHost(report) ? limitCell(report, "max_latency_ms") : null,
  };
}

function targetRow(report, key, title, unit, ratioKey, better, worse) {
  const entry = report.predicted[key];
  return {
    goal: `${title} on ${targetTitle(report)}`,
    before: `${predicted(entry.baseline)} ${unit}`,
    after: `${predicted(entry.result)} ${unit}`,
    ...gain(report.ratios[ratioKey], better, worse),
    label: entry.label === "measured" && key === "energy_mj" ? "rough" : entry.label,
    evidence: evidenceText(entry.label === "measured" && key === "energy_mj" ? "rough" : entry.label, entry.low / entry.result, entry.high / entry.result),
    expected: `${range(entry.low, entry.high)} ${unit}`,
    outside: false,
    limit: limitCell(report, key === "energy_mj" ? "max_energy_mj" : "max_latency_ms"),
  };
}

function storageRow(report) {
  const expected = report.predicted?.size_bytes;
  return {
    goal: "Storage",
    before: bytes(report.baseline.size_bytes),
    after: bytes(report.result.size_bytes),
    ...gain(report.ratios.size, "smaller", "larger", measuredRatio),
    label: "exact",
    evidence: "counted exactly",
    expected: expected ? `${bytes(expected.value)} (${bytesRange(expected.low, expected.high)})` : "–",
    outside: expected ? report.result.size_bytes < expected.low || report.result.size_bytes > expected.high : false,
    limit: limitCell(report, "max_size_bytes"),
  };
}

function accuracyRow(report) {
  const drop = report.accuracy_drop_points;
  const expected = report.predicted?.accuracy_drop_points;
  const [low, high] = report.result.accuracy_ci ?? [];
  const base = report.baseline.accuracy;
  const at = (points) => (base * 100 - points).toFixed(1);
  return {
    goal: accuracyTitle(report.result),
    before: percent(base),
    after: percent(report.result.accuracy),
    way: drop > 0.05 ? "down" : drop < -0.05 ? "up" : "same",
    tone: drop > 0.05 ? "warn" : "good",
    change: `${signed(-drop)} points`,
    note: differenceRange(report) && `95 %: ${differenceRange(report)}`,
    label: "measured",
    evidence: low === undefined ? "measured" : `measured, ${(low * 100).toFixed(1)}–${(high * 100).toFixed(1)}`,
    expected: expected ? `${at(expected.value)} % (${at(expected.high)}–${at(expected.low)})` : "–",
    outside: expected ? drop < expected.low || drop > expected.high : false,
    limit: limitCell(report, "max_accuracy_drop"),
  };
}

function limitCell(report, name) {
  const found = (report.limits ?? []).find((limit) => limit.name === name);
  if (!found) return null;
  const state = !found.met ? "not met" : found.sure ? "met" : "likely";
  return { state, text: `≤ ${limitText(name, found.limit)}` };
}

/** Share of the best attainable gain of each goal, 0–100; null where the best is not known. */
export function gauges(report, bestLog2) {
  const share = (value, best) => (best > 0 ? (100 * Math.log2(Math.max(value, 1e-9))) / best : null);
  const { ratios, accuracy_drop_points: drop } = report;
  const band = bandText(report.predicted.latency_ms.low / report.predicted.latency_ms.result, report.predicted.latency_ms.high / report.predicted.latency_ms.result);
  return [
    ["Accuracy", 100 * (1 - Math.max(0, drop) / 5), `${percent(report.result.accuracy)}, ${signed(-drop)} points`],
    ["Latency", share(ratios.target_latency, bestLog2?.latency), isHost(report) ? `${measuredRatio(ratios.target_latency)} faster, measured` : `${ratio(ratios.target_latency)} faster, predicted ${band}`],
    ["Energy", share(ratios.target_energy, bestLog2?.energy), `${ratio(ratios.target_energy)} less, predicted`],
    ["Storage", share(ratios.size, bestLog2?.storage), `${measuredRatio(ratios.size)} smaller, exact`],
  ];
}

const ANSWERED = {
  dqn: "answered by the trained agent",
  coordinate_ascent: "answered by coordinate ascent",
  classic: "answered by AdaDeep as published",
  greedy: "answered by greedy search",
  random: "answered by random search",
  exhaustive: "answered by exhaustive search",
  genetic: "answered by a genetic algorithm",
  nsga2: "answered by NSGA-II",
  branch_and_bound: "answered by branch and bound",
  "built candidate": "a recipe that the study had built",
  chosen: "chosen by hand",
};

/** Who answered, how much was tried, and how far from the best the score can be by the predictions. */
export function searchText({ selector, answered_by: who, candidates_scored: scored, candidates_built: built, gap_to_best_found: gap, gap_bound: bound }) {
  const known = (value) => value !== undefined && value !== null;
  return [
    ANSWERED[who] ?? (who || selector),
    scored && `${whole(scored)} candidates scored`,
    built && `${built} built`,
    known(gap) && `gap to the best found ${(gap * 100).toFixed(2)} %`,
    known(bound) && `proven to be at most ${(bound * 100).toFixed(1)} % from the best possible, by the predictions`,
  ].filter(Boolean).join(", ");
}

/** How the times of single layers are known: whole networks are measured, layers are not. */
export function layerTimesText(report) {
  const { label } = report.predicted.latency_ms;
  return isHost(report) ? "Predicted from operations timed on this computer." : `Predicted for ${targetTitle(report)} (${label}).`;
}

/** The paired 95 % interval of the change: "−0.9 to +0.1"; nothing in reports that have none. */
function differenceRange(report) {
  const ends = report.accuracy_drop_ci_points?.map((end) => -end).sort((a, b) => a - b);
  return ends ? `${signed(ends[0])} to ${signed(ends[1])}` : "";
}

/** The change with its interval, and whether chance would explain it, in words. */
export function differenceText(report) {
  const between = differenceRange(report);
  if (!between) return "";
  const chance = report.accuracy_drop_chance;
  const test = typeof chance === "number" ? `; a difference this large comes by chance in ${chance < 0.001 ? "under 0.1" : predicted(100 * chance)} % of cases (exact McNemar test)` : "";
  return `${signed(-report.accuracy_drop_points)} points, 95 % interval ${between}, both files on the same examples${test}`;
}

/** What a flip is called: without labels nobody can say that an answer is wrong. */
export function flipWords(flip, report) {
  if (isAgreement(report.result.accuracy_kind)) return { tone: "warn", word: "differs", label: "" };
  return flip.fixed ? { tone: "good", word: "fixed", label: flip.truth } : { tone: "bad", word: "broken", label: flip.truth };
}

export const flipsTitle = (report) => (isAgreement(report.result.accuracy_kind) ? "Answers that differ from the original's" : "Predictions that flipped");

export function flipsCount({ flipped, result }) {
  const { lost = 0, gained = 0 } = flipped ?? {};
  const all = `${whole(lost + gained)} of ${whole(result.n_test)}`;
  return isAgreement(result.accuracy_kind) ? all : `${all} changed: ${whole(gained)} fixed, ${whole(lost)} broken`;
}

/** Flips to show: fixed and broken in their shares, but at least one of each kind that there is. */
export function mixedFlips(examples, most) {
  const [fixed, broken] = [true, false].map((side) => examples.filter((flip) => flip.fixed === side));
  const share = Math.round((most * fixed.length) / Math.max(1, examples.length));
  const nFixed = Math.min(fixed.length, Math.max(most - broken.length, Math.min(most - Math.sign(broken.length), Math.max(share, 1))));
  return [...broken.slice(0, most - nFixed), ...fixed.slice(0, nFixed)];
}
