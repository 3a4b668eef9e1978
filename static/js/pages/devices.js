// Devices: the user's own, then the catalogue by family, searchable, with label and band on each.
import { OwnDevices } from "../components/own-devices.js";
import "../components/phone-link.js";
import { get, post, quietly } from "../lib/api.js";
import { $, $$, escape, pageData } from "../lib/dom.js";
import { FAMILIES, TIER_MEANING, bandText } from "../lib/evidence.js";
import { keepTyped } from "../lib/kept.js";
import { badge } from "../lib/markup.js";
import { wireOwnDevices } from "../lib/own-devices.js";

const { targets, own, phone } = pageData();
const NAMES = { measured: "measured", calibrated: "calibrated", same: "same chip", similar: "similar chip", rough: "rough" };
const LOOK_EVERY_MS = 5000;
const body = $("#targets tbody");

const evidence = (label, band) => badge(label, [label, label === "measured" ? "" : bandText(...band)].filter(Boolean).join(" "));
const row = (target) => `<tr><td class="full"><a class="strong" href="/devices/${escape(target.name)}/">${escape(target.title)}</a><br><span class="small muted">${escape(target.chip)}</span></td>
  <td class="full small">${escape(target.runtime)}, ${target.threads === 1 ? "one thread" : `${target.threads} threads`}, ${escape(target.arithmetic)}</td>
  <td class="full" data-label="Latency">${evidence(target.label, target.band)}</td><td class="full" data-label="Energy">${evidence(target.energy_label, target.energy_band)}</td></tr>`;
const group = (family, rows) => `<tr class="group"><th colspan="4" scope="colgroup">${escape(FAMILIES[family] ?? family)} <span class="muted">· ${rows.length}</span></th></tr>${rows.map(row).join("")}`;

function show(query) {
  const hits = targets.filter((t) => `${t.title} ${t.chip} ${t.name} ${t.label} ${FAMILIES[t.family]} ${t.runtime}`.toLowerCase().includes(query));
  const families = [...new Set(hits.map((target) => target.family))];
  body.innerHTML = families.map((family) => group(family, hits.filter((target) => target.family === family))).join("")
    || `<tr><td colspan="4" class="full muted">No device matches “${escape(query)}”.</td></tr>`;
  $("#count").textContent = hits.length === targets.length ? `· ${targets.length} devices` : `· ${hits.length} of ${targets.length}`;
}

$("#tiers").innerHTML = TIER_MEANING.map(([tier, title, text]) => `<li>${badge(NAMES[tier], title)}<p class="tiny muted" style="margin-top:4px">${escape(text)}</p></li>`).join("");
keepTyped($("#search"), (text) => show(text.trim().toLowerCase()));

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
