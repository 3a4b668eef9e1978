// What a model costs as it came, device by device: value, range, label with band.
import { escape } from "../lib/dom.js";
import { FAMILIES, bandText, chipName, runsText } from "../lib/evidence.js";
import { measured, predicted, range } from "../lib/format.js";
import { badge } from "../lib/markup.js";

const COLUMNS = 6;
const scaled = (value) => (value < 0.1 ? [1000, "µ"] : [1, "m"]);

/* "0.052 ms", and below it where the truth lies nine times in ten; µs and µJ where milli would read as zero. */
function figure(value, ends, unit, show = predicted) {
  const [scale, prefix] = scaled(value);
  const between = ends ? `<br><span class="tiny muted">${range(ends[0] * scale, ends[1] * scale, show)}</span>` : "";
  return `<b>${show(value * scale)}</b> ${prefix}${unit}${between}`;
}

const within = (value, [low, high]) => [value * low, value * high];

const label = (word, band) => badge(word, [word, bandText(...band)].filter(Boolean).join(" "));

function row(device) {
  const { measured: runs, latency_ms: ms, energy_mj: mj, band, energy_band: energyBand } = device;
  const latency = runs ? figure(ms, runs.p10 && [runs.p10, runs.p90], "s", measured) : figure(ms, within(ms, band), "s");
  const known = runs ? badge("measured", `measured, ${runs.runs} runs`) : label(device.label, band);
  const misfit = device.misfit ? `<br><span class="bad small">${escape(device.misfit)}</span>` : "";
  return `<tr><th scope="row" class="full"><a href="/devices/${escape(device.name)}/">${escape(device.title)}</a><br><span class="tiny muted">${escape(runsText(device))}</span>${misfit}</th><td class="full small muted">${escape(chipName(device.chip))}</td>
    <td class="n" data-label="Latency">${latency}</td><td>${known}</td>
    <td class="n" data-label="Energy">${figure(mj, within(mj, energyBand), "J")}</td><td>${label(device.energy_label, energyBand)}</td></tr>`;
}

const group = (family, rows) => `<tr class="group"><th colspan="${COLUMNS}" scope="colgroup">${escape(FAMILIES[family] ?? family)}</th></tr>${rows.map(row).join("")}`;

/** devices: as webapp/projects/model.py sends them. */
export function deviceRows(devices) {
  const families = [...new Set(devices.map((device) => device.family))];
  return families.map((family) => group(family, devices.filter((device) => device.family === family))).join("");
}
