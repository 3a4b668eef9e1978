// Devices: the user's own, then the catalogue by family, searchable, with label and band on each.
import { OwnDevices } from "../components/own-devices.js";
import "../components/phone-link.js";
import { get, post, quietly } from "../lib/api.js";
import { $, $$, escape, pageData, segmented } from "../lib/dom.js";
import { FAMILIES, TIER_MEANING, bandText, chipName, coresOf, runsText, typicalError } from "../lib/evidence.js";
import { keep, keepTyped, kept } from "../lib/kept.js";
import { badge } from "../lib/markup.js";
import { wireOwnDevices } from "../lib/own-devices.js";

const { targets, own, phone } = pageData();
const NAMES = { measured: "measured", calibrated: "calibrated", same: "same chip", similar: "similar chip", rough: "rough" };
const LOOK_EVERY_MS = 5000;
const body = $("#targets tbody");

const FILTERS = [["", "All"], ["paper", "AdaDeep paper"], ...Object.entries(FAMILIES).filter(([name]) => name !== "own")];
const COLUMNS = 7;

const short = (value) => String(Number(value.toPrecision(3)));
const memory = (mb) => (mb >= 1024 ? `${short(mb / 1024)} GB` : mb ? `${short(mb)} MB` : "–");
const band = (label, [low, high]) => (label === "measured" ? "–" : bandText(low, high));
function row(target) {
  return `<tr><td class="full"><a class="strong plain-link" href="/devices/${escape(target.name)}/">${escape(target.title)}</a>${target.paper ? ' <span class="tag">paper</span>' : ""}<br><span class="tiny muted">${escape(runsText(target))}</span></td>
    <td class="full small">${escape(chipName(target.chip))}</td><td class="full small muted">${escape(coresOf(target.chip)) || "–"}</td><td class="n" data-label="Memory">${memory(target.ram_mb)}</td>
    <td>${badge(target.label, target.label)}</td><td class="n" data-label="Typical error">${typicalError(target.band[1])}</td>
    <td class="n" data-label="9 of 10 within">${band(target.label, target.band)}<br><span class="tiny muted">energy ${band(target.energy_label, target.energy_band)}</span></td></tr>`;
}
const group = (family, rows) => `<tr class="group"><th colspan="${COLUMNS}" scope="colgroup">${escape(FAMILIES[family] ?? family)} <span class="muted">· ${rows.length}</span></th></tr>${rows.map(row).join("")}`;

let wanted = kept("family") ?? "";
let query = "";
const isWanted = (target) => !wanted || (wanted === "paper" ? target.paper : target.family === wanted);
const says = (target) => `${target.title} ${target.chip} ${target.name} ${target.label} ${FAMILIES[target.family]} ${target.runtime}`.toLowerCase();

function show() {
  const hits = targets.filter((target) => isWanted(target) && says(target).includes(query));
  const families = [...new Set(hits.map((target) => target.family))];
  body.innerHTML = families.map((family) => group(family, hits.filter((target) => target.family === family))).join("")
    || `<tr><td colspan="${COLUMNS}" class="full muted">No device ${wanted ? `under “${escape(new Map(FILTERS).get(wanted))}” ` : ""}matches “${escape(query)}”.</td></tr>`;
  $("#count").textContent = hits.length === targets.length ? `· ${targets.length} devices` : `· ${hits.length} of ${targets.length}`;
}

$("#families").innerHTML = FILTERS.map(([value, text]) => `<button type="button" class="chip" value="${value}" aria-pressed="${value === wanted}">${text}</button>`).join("");
segmented($("#families"), (family) => {
  wanted = family;
  keep("family", family);
  show();
});
$("#tiers").innerHTML = TIER_MEANING.map(([tier, title, text]) => `<li>${badge(NAMES[tier], title)}<p class="tiny muted" style="margin-top:4px">${escape(text)}</p></li>`).join("");
keepTyped($("#search"), (text) => {
  query = text.trim().toLowerCase();
  show();
});

$("#phone").phone = phone;
const list = new OwnDevices($("#own"));
list.devices = own;
wireOwnDevices(list);

async function add(event) {
  event.preventDefault();
  const { threads, ...said } = Object.fromEntries(new FormData(event.target));
  try {
    const { url } = await post("/api/own-devices", { ...said, threads: Number(threads), means: event.target.dataset.means });
    location.assign(url);
  } catch (error) {
    $('[role="alert"]', event.target).textContent = error.message;
  }
}
for (const form of $$("form[data-means]")) form.addEventListener("submit", add);

/* What connected devices do just now; a row that somebody is typing in stays as it is. */
async function showAgents() {
  if (!list.rows.some((row) => row.mine && row.means === "agent")) return;
  const { devices } = await get("/api/connected-devices");
  const agents = Object.fromEntries(devices.map((device) => [device.id, device]));
  const changed = list.rows.some((row) => row.agent?.state !== agents[row.id]?.state);
  if (changed && !list.open) list.devices = list.rows.map((row) => ({ ...row, agent: agents[row.id] }));
}
quietly(showAgents());
setInterval(() => document.hidden || quietly(showAgents()), LOOK_EVERY_MS);
