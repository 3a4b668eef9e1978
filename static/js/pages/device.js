// One device: its labels with their bands; the figures are in the page already.
import { $, pageData } from "../lib/dom.js";
import { bandText } from "../lib/evidence.js";
import { badge } from "../lib/markup.js";

const { device } = pageData();
const evidence = (what, label, band) => `${what} ${badge(label, [label, label === "measured" ? "" : bandText(...band)].filter(Boolean).join(" "))}`;

$("#labels").innerHTML = [evidence("Latency", device.label, device.band), evidence("Energy", device.energy_label, device.energy_band)].join(" &nbsp; ");
