// What connected devices are asked to measure, in words: states, times with their spread, ratios.
import { escape } from "./dom.js";
import { ago, measured, measuredRatio, percent, predicted, range } from "./format.js";

const PILLS = { waiting: ["info", "Waiting"], leased: ["info", "Measuring"], done: ["good", "Measured"], failed: ["bad", "Failed"], "given up": ["warn", "Given up"] };
const STATE_PILLS = { none: "", offline: "warn", idle: "good", busy: "info" };

export const statePill = ({ state, text }) => `<span class="pill ${STATE_PILLS[state] ?? ""}">${escape(text)}</span>`;

export function taskPill(task) {
  const [tone, words] = PILLS[task.state] ?? ["", task.state];
  return `<span class="pill ${tone}">${escape(words)}</span>`;
}

/** Whether a task was done since the state before; false where there is none before. */
export function isNewlyDone(before, now) {
  const done = new Set(before?.tasks.filter((task) => task.state === "done").map((task) => task.id));
  return Boolean(before) && now.tasks.some((task) => task.state === "done" && !done.has(task.id));
}

/** What a task waits for, or what came of it. */
export function taskText(task) {
  if (task.state === "waiting" && task.device_state?.state === "offline") return ["The device is offline. The build stands with its predictions; it is measured when the device comes back.", task.message].filter(Boolean).join(" ");
  if (task.state === "waiting") return task.message || "Starts as soon as the device is free.";
  return task.message;
}

/** "3.21 ms (3.10–3.58)": the median of a measurement and its p10 to p90. */
export const spreadText = ({ p10, p50, p90 }) => `${measured(p50)} ms (${range(p10, p90, measured)})`;

/** [tone, words]: how many times as fast, with the range of that. */
export function changeText({ ratio, ratio_ci: [low, high] }) {
  const faster = ratio >= 1;
  if ((low <= 1 && high >= 1) || Number(measured(ratio)) === 1) return ["muted", `no difference (${range(low, high, measured)}×)`];
  const ends = faster ? [low, high] : [1 / high, 1 / low];
  return [faster ? "good" : "bad", `${measuredRatio(faster ? ratio : 1 / ratio)} ${faster ? "faster" : "slower"} (${range(...ends, measured)}×)`];
}

/** A row of the report's table: one device. */
export function buildRow(task) {
  const cells = task.pair ? pairCells(task.pair) : `<td class="full muted" colspan="3">${escape(taskText(task))}</td>`;
  return `<tr><td class="full strong">${escape(task.device)}</td>${cells}<td class="full">${howText(task)}</td></tr>`;
}

function pairCells(pair) {
  const [tone, words] = changeText(pair);
  return `<td class="n muted full" data-label="Original">${spreadText(pair.original_ms)}</td><td class="n full" data-label="Compressed">${spreadText(pair.result_ms)}</td><td class="n full ${tone}">${words}</td>`;
}

function howText(task) {
  if (!task.pair) return `${taskPill(task)}${task.is_open ? ` <button type="button" class="btn quiet mini no-print" data-stop="${escape(task.id)}">Stop</button>` : ""}`;
  const told = [powerText(task.power), task.message].filter(Boolean).join(" ");
  const said = told ? `<br><span class="tiny muted">${escape(told)}</span>` : "";
  return `<span class="tier" data-tier="measured" style="white-space:normal">measured on the device, ${task.pair.rounds} paired rounds, ${ago(task.finished)}</span>${said}`;
}

/** A row of the studio's table: a network, what was predicted of it, what it took. */
export function finalistRow({ title, predicted_ms: ms, predicted_band_ms: band, measured_ms: spread, inside }) {
  return `<tr><td class="full strong wrap-anywhere">${escape(title)}</td><td class="n full muted" data-label="Predicted before">${predicted(ms)} ms (${range(...band, predicted)})</td><td class="n full" data-label="Measured">${spreadText(spread)}</td><td class="full" data-label="Inside the band">${inside ? "yes" : '<span class="warn">no</span>'}</td></tr>`;
}

/** "11 of 13 inside the band; half of the predictions were off by at most 12 %." */
export function finalistsText(rows) {
  if (!rows.length) return "";
  const off = rows.map((row) => Math.abs(row.predicted_ms / row.measured_ms.p50 - 1)).sort((a, b) => a - b);
  return `${rows.filter((row) => row.inside).length} of ${rows.length} inside the band that was stated; half of the predictions were off by at most ${percent(off[Math.floor((off.length - 1) / 2)], 0)}.`;
}

/** A line of the device's own page. */
export function taskLine(task) {
  const stop = task.is_open ? `<button type="button" class="btn quiet mini" data-stop="${escape(task.id)}">Stop</button>` : "";
  return `<tr><td class="full strong">${escape(task.title)}</td><td class="full">${taskPill(task)} ${stop}</td><td class="full small">${escape([taskText(task), threadsText(task.threads_ms), powerText(task.power)].filter(Boolean).join(" "))}</td><td class="n muted">${ago(task.finished ?? task.created)}</td></tr>`;
}

/** "A small mobile network: 3.2 ms on 1 thread, 2.0 on 2." */
export function threadsText(threadsMs) {
  const times = Object.entries(threadsMs ?? {});
  if (times.length < 2) return "";
  return `A small mobile network: ${times.map(([threads, ms]) => `${measured(ms)} ms on ${threads} thread${threads === "1" ? "" : "s"}`).join(", ")}.`;
}

/** "12.1 → 6.3 mJ a run, 2.10 W above rest, measured by RAPL package-0." */
export function powerText(power) {
  if (!power?.length) return "";
  const last = power.at(-1);
  return `${power.map((row) => measured(row.run_mj)).join(" → ")} mJ a run, ${measured(last.above_rest_w)} W above rest, measured by ${last.source}.`;
}

/** Processor, cores and runtime, as the agent said. */
export function factsText(facts) {
  if (!facts?.cores) return "";
  return [facts.processor || facts.machine, `${facts.cores} core${facts.cores === 1 ? "" : "s"}`, facts.system, `ONNX Runtime ${facts.onnxruntime}`, `Python ${facts.python}`].filter(Boolean).join(" · ");
}
