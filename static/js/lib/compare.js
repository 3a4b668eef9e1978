// What two sides say to each other: verdicts with their bands, and the rows of the page.
import { accuracyTitle } from "./accuracy-kind.js";
import { FAMILIES, evidenceText } from "./evidence.js";
import { bytes, count, measured, percent, predicted, ratio } from "./format.js";

const EQUAL = 1.005;
const EQUAL_POINTS = 0.05;

const EQUAL_MS = 0.005;

/** By how much the time of a layer differs: 0 where that is next to nothing, or where both have no layer any more. */
export function msChange(a, b) {
  const change = b - a;
  return Math.abs(change) <= EQUAL_MS * Math.max(a, b) ? 0 : change;
}

/** How far a value may be off, as a factor. */
const factorOf = ({ value, low, high }) => (value > 0 && low > 0 ? Math.max(high / value, value / low) : 1);

/** {who: "A"|"B"|"tie"|"equal", text} for two values where less is better. */
export function verdict(a, b) {
  const times = Math.max(a.value / b.value, b.value / a.value);
  if (!(times >= EQUAL)) return { who: "equal", text: "equal" };
  const who = a.value < b.value ? "A" : "B";
  const ahead = `${Math.round((times - 1) * 100)} %`;
  if (times < Math.max(factorOf(a), factorOf(b))) return { who: "tie", text: `${who} ahead by ${ahead}, inside the band` };
  return { who, text: times < 1.5 ? `${Math.round((1 - 1 / times) * 100)} % less` : `${ratio(times)} less` };
}

/** The same for accuracy in percent, where more is better; bands are in points. */
export function accuracyVerdict(a, b) {
  const apart = Math.abs(a.value - b.value);
  if (apart < EQUAL_POINTS) return { who: "equal", text: "equal" };
  const who = a.value > b.value ? "A" : "B";
  const band = Math.max(a.value - a.low, a.high - a.value, b.value - b.low, b.high - b.value);
  if (apart < band) return { who: "tie", text: `${who} ahead by ${apart.toFixed(1)} points, inside ±${band.toFixed(1)}` };
  return { who, text: `${apart.toFixed(1)} points more` };
}

/** Accuracy in percent with its band, from the original and the points lost. */
export function accuracyOf({ baseline, values }) {
  const { value, low, high, label } = values.accuracy_drop_points;
  const at = (drop) => 100 * baseline.accuracy - drop;
  return { value: at(value), low: at(high), high: at(low), label };
}

const known = (entry) => (entry.label === "measured" || entry.label === "exact" ? measured : predicted);
const COSTS = [
  ["latency_ms", "Latency", (entry) => `${known(entry)(entry.value)} ms`],
  ["energy_mj", "Energy", (entry) => `${predicted(entry.value)} mJ`],
  ["size_bytes", "Storage", (entry) => bytes(entry.value)],
  ["params", "Parameters", (entry) => count(entry.value)],
  ["macs", "Multiply–adds", (entry) => count(entry.value)],
];

const costEvidence = ({ value, low, high, label }) => evidenceText(label, low / value, high / value);
const pointsEvidence = ({ value, high, label }) => (label === "measured" ? "measured" : `predicted ±${(high - value).toFixed(1)} pt`);

/* Accuracy of the one and agreement of the other are two things: neither is ahead. */
function accuracyRow(a, b) {
  const [first, second] = [accuracyOf(a), accuracyOf(b)];
  const isOneKind = a.accuracy_kind === b.accuracy_kind;
  const verdictOfBoth = isOneKind ? accuracyVerdict(first, second) : { who: "not comparable", text: "" };
  const goal = (isOneKind ? [a] : [a, b]).map(accuracyTitle).join(" / ");
  return { goal, a: percent(first.value / 100), b: percent(second.value / 100), labels: [first.label, second.label], evidence: [first, second].map(pointsEvidence), ...verdictOfBoth };
}

/** [{goal, a, b, who, text, labels, evidence}], accuracy first. */
export function headlineRows(a, b) {
  const rows = [accuracyRow(a, b)];
  for (const [name, goal, show] of COSTS) {
    const [x, y] = [a.values[name], b.values[name]];
    if (x && y) rows.push({ goal, a: show(x), b: show(y), labels: [x.label, y.label], evidence: [x, y].map(costEvidence), ...verdict(x, y) });
  }
  return rows;
}

/** How the line of a side is known: of a build for another device, latency is predicted and the rest measured. */
export function knownText({ is_measured: isMeasured, values }) {
  if (!isMeasured) return "predicted";
  return values.latency_ms.label === "measured" ? "measured" : "latency predicted, the rest measured";
}

/**
 * The rows of the graph: pairs, with runs that are the same in both folded into {fold: n, from}.
 * `open` holds the starts of runs that a person unfolded; `strict` folds short runs, too.
 */
export function foldedRows(pairs, { open = new Set(), strict = false, least = 4 } = {}) {
  const rows = [];
  for (let at = 0; at < pairs.length; ) {
    let end = at;
    while (end < pairs.length && pairs[end].same) end += 1;
    const run = end - at;
    if (run >= (strict ? 1 : least) && !open.has(at)) {
      rows.push({ fold: run, from: at });
      at = end;
    } else {
      const stop = Math.max(end, at + 1);
      for (let i = at; i < stop; i += 1) rows.push({ pair: i });
      at = stop;
    }
  }
  return rows;
}

/**
 * Lines that lead past other rows, each in a lane: [{from, to, lane}] by row; a layer that reads the row
 * above it needs none. `reads[i]` are the rows that row i reads.
 */
export function lanesOf(reads, most = 6) {
  const edges = reads.flatMap((sources, to) => sources.filter((from) => from !== to - 1 && from < to).map((from) => ({ from, to })));
  edges.sort((x, y) => x.from - y.from || y.to - x.to);
  const ends = [];
  return edges.map((edge) => {
    let lane = ends.findIndex((end) => end <= edge.from);
    if (lane < 0) lane = Math.min(ends.length, most - 1);
    ends[lane] = Math.max(ends[lane] ?? 0, edge.to);
    return { ...edge, lane };
  });
}

/* What a side is stands first where it is not among the choices: another study's recipe, a device that is gone. */
function withOwn(groups, name, title) {
  const isListed = groups.some(({ options }) => options.some(([value]) => value === name));
  return isListed ? groups : [{ options: [[name, title]] }, ...groups];
}

/** The recipes and builds that a side may become: [{label, options: [[name, title]]}]. */
export function recipeGroups(side, projects) {
  const now = partsOfName(side.name);
  const groups = projects.map((project) => {
    const device = now.device ?? (side.kind === "build" ? side.target.name : project.target);
    const named = (recipe) => nameOf({ project: project.id, device, recipe });
    const isPicked = now.recipe && now.recipe !== "original" && now.project === project.id;
    const picked = isPicked ? [[side.name, "Picked recipe"]] : [];
    const builds = project.builds.map(({ name, title }) => [name, title]);
    return { label: project.name, options: [[named(""), "Recommended"], [named("original"), "Original"], ...picked, ...builds] };
  });
  return withOwn(groups, side.name, side.title);
}

/** The devices that a side may be put on, by family. */
export function deviceGroups({ target }, devices) {
  const families = [...new Set(devices.map(({ family }) => family))];
  const groups = families.map((family) => ({ label: FAMILIES[family] ?? family, options: devices.filter((device) => device.family === family).map(({ name, title }) => [name, title]) }));
  return withOwn(groups, target.name, target.title);
}

/** A side's name in the address with another recipe or device. */
export function nameOf({ project, device, recipe, build }) {
  if (build) return build;
  return [project, device, recipe].filter(Boolean).join("@");
}

/** Where a candidate is compared: with the one that was sent there `before`, so that any two can stand side by side. */
export function addressOf(name, before) {
  return before && before !== name ? `/compare/?a=${before}&b=${name}` : `/compare/?a=${name}`;
}

/** The parts of a name: {build} or {project, device, recipe}. */
export function partsOfName(name) {
  const [project, device, recipe = ""] = name.split("@");
  return device ? { project, device, recipe } : { build: name };
}

/** A configuration in an address: runs of equal numbers once, "3.0x12.5". */
export function configText(config) {
  const runs = [];
  for (const number of config) {
    const last = runs.at(-1);
    if (last?.number === number) last.count += 1;
    else runs.push({ number, count: 1 });
  }
  return runs.map(({ number, count: n }) => (n > 1 ? `${number}x${n}` : number)).join(".");
}
