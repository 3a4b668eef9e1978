// One device: its labels with their bands, and the chart of its evidence; the figures are in the page already.
import "../components/plot-figure.js";
import { wireChartButtons } from "../lib/chart-buttons.js";
import { $, pageData } from "../lib/dom.js";
import { bandText } from "../lib/evidence.js";
import { badge } from "../lib/markup.js";

const { device, evidence } = pageData();
const words = (what, label, band) => `${what} ${badge(label, [label, label === "measured" ? "" : bandText(...band)].filter(Boolean).join(" "))}`;

$("#labels").innerHTML = [words("Latency", device.label, device.band), words("Energy", device.energy_label, device.energy_band)].join(" &nbsp; ");
if (evidence) {
  $("#evidence").figure = evidence;
  wireChartButtons(device.name);
}
