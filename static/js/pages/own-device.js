// A user's own device: its labels, its chart, its name and sharing, and the filled table of the kit.
import "../components/device-agent.js";
import "../components/plot-figure.js";
import { OwnDevices } from "../components/own-devices.js";
import { post } from "../lib/api.js";
import { wireChartButtons } from "../lib/chart-buttons.js";
import { $, pageData, setText } from "../lib/dom.js";
import { bandText } from "../lib/evidence.js";
import { badge } from "../lib/markup.js";
import { wireOwnDevices } from "../lib/own-devices.js";

const { own, device, evidence } = pageData();
const words = (what, label, band) => `${what} ${badge(label, `${label} ${bandText(...band)}`)}`;

if (device) $("#labels").innerHTML = [words("Latency", device.label, device.band), words("Energy", device.energy_label, device.energy_band)].join(" &nbsp; ");
if (evidence) {
  $("#evidence").figure = evidence;
  wireChartButtons(own.name);
}
if ($("#own")) {
  const list = new OwnDevices($("#own"));
  list.devices = [own];
  wireOwnDevices(list, { onSaved: (saved) => setText($("#title"), saved.title), onDeleted: () => location.assign("/devices/") });
}

const say = (tone, text) => {
  const note = $("#times-note");
  note.className = `small ${tone}`;
  setText(note, text);
};

/* Refused rows stay readable: the page is loaded anew only when all were taken. */
async function sendTimes(file) {
  say("muted", "Sending…");
  const { used, refused } = await post(`/api/own-devices/${own.id}/times`, { text: await file.text() });
  const reasons = Object.values(refused);
  if (!reasons.length) return location.reload();
  say(used.length ? "warn" : "bad", [`${reasons.length} set aside:`, ...reasons, used.length ? "The rest counts. Reload the page to see it." : ""].join("\n"));
}

/* What the agent measured is in the page's chart and table only when it is loaded anew. */
addEventListener("measured", () => location.reload());

$("#times")?.addEventListener("submit", (event) => {
  event.preventDefault();
  sendTimes(event.target.elements.file.files[0]).catch((error) => say("bad", error.message));
});
