// Devices: the targets with their label, band and source.
import { $, escape, pageData } from "../lib/dom.js";
import { TIER_MEANING, bandText } from "../lib/evidence.js";
import { badge } from "../lib/markup.js";

const { targets } = pageData();
const NAMES = { measured: "measured", calibrated: "calibrated", same: "same chip", similar: "similar chip", rough: "rough" };
const FAMILIES = { phone: "Phone", board: "Board", host: "This machine", wearable: "Wearable" };

$("#tiers").innerHTML = TIER_MEANING.map(([tier, title, text]) => `<li>${badge(NAMES[tier], title)}<p class="tiny muted" style="margin-top:4px">${escape(text)}</p></li>`).join("");
$("#count").textContent = `· ${targets.length} devices`;

const within = (target) => (target.label === "measured" ? "p10–p90 of the runs" : bandText(...(target.band ?? [1, 1])) || "–");
const sources = (target) => Object.entries(target.sources ?? {}).map(([key, text]) => `<dt>${escape(key.replaceAll("_", " "))}</dt><dd>${escape(text)}</dd>`).join("");

$("#targets tbody").innerHTML = targets.map((target) => `<tr><td class="full"><b class="strong">${escape(target.title)}</b></td><td class="full">${escape(target.chip)}</td>
  <td>${escape(FAMILIES[target.family] ?? target.family)}</td><td>${badge(target.label, target.label)}</td><td class="n" data-label="9 of 10 within">${within(target)}</td>
  <td class="full" style="max-width:420px"><p class="small">${escape(target.note ?? "")}</p><details class="fold small"><summary>Sources of ${Object.keys(target.sources ?? {}).length} figures</summary><dl class="kv">${sources(target)}</dl></details></td></tr>`).join("");
