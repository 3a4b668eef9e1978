// Model: what it is before anything is done to it. All figures come with the page; the socket only says that more
// is known by now.
import "../components/device-picker.js";
import { link } from "../components/job-note.js";
import { FitMap } from "../components/fit-map.js";
import { deviceRows } from "../components/model-devices.js";
import { ModelLayers } from "../components/model-layers.js";
import "../components/help-note.js";
import { NetworkGraph } from "../components/network-graph.js";
import { factsMarkup, studyNote, wireRetry } from "../components/study-facts.js";
import { get } from "../lib/api.js";
import { wireTableButtons } from "../lib/chart-buttons.js";
import { showConnection } from "../lib/connection.js";
import { $, escape, pageData, setText } from "../lib/dom.js";
import { bandText } from "../lib/evidence.js";
import { columnsOf } from "../lib/fit.js";
import { badge } from "../lib/markup.js";
import { hasOwnRow, leftOutText, totalMs } from "../lib/model-layers.js";
import { LiveSocket } from "../lib/socket.js";
import { hasMoved, isStudying } from "../lib/study.js";
import { legend, setTechniques, titleOf } from "../lib/techniques.js";

// The map of a deeper network is made when somebody opens it.
const MOST_OPEN = 200;

const { project, model, techniques = {}, layers, devices, target, targets, target_notes: notes, layers_band: band, ...page } = pageData();
let { study } = page;

function showStudy() {
  $("#study-note").innerHTML = studyNote(study, model?.warnings, link(`/projects/${project.id}/`, "Back to the studio"));
}

function timesNote() {
  const total = totalMs(layers);
  if (total === null) return "The times of single layers on this computer come with the study’s second stage, Probe. Pick another device to see what is predicted for it now.";
  const here = devices.find((device) => device.name === target.name)?.measured;
  const how = here ? "Each layer was timed alone on this computer, then corrected by whole networks: " : "By what is known of the device: ";
  return `${how}${badge(target.label, [target.label, bandText(...band)].filter(Boolean).join(" "))}`;
}

/* For the graph: as it came, with what it does at the right, and the techniques that fit by name. */
function plainRow({ name, text, ms, applicable }, { show, unit }) {
  const fits = columnsOf(techniques).filter((each) => applicable?.[each] === true);
  const level = [text, ms ? `${show(ms)} ${unit}` : ""].filter(Boolean).join(" · ");
  return { layer: name, plain: true, level, fits: fits.map(titleOf).join(", ") || "none" };
}

function showModel() {
  setTechniques(techniques);
  const rows = layers.filter(hasOwnRow);
  const table = new ModelLayers($("#model-layers"), layers, techniques);
  setText($("#layers-left-out"), leftOutText(layers));
  $("#times-note").innerHTML = timesNote();
  $("#device-notes").innerHTML = notes.map((text) => `<p class="note warn" style="margin-top:8px">${escape(text)}</p>`).join("");
  $("#device").targets = targets;
  $("#device").value = target.name;
  $("#device").addEventListener("device-change", ({ detail }) => location.assign(`?target=${encodeURIComponent(detail)}#layers-card`));
  $("#layers-csv").addEventListener("click", () => table.save(project.name));
  $("#fit-card details").open = rows.length <= MOST_OPEN;
  new FitMap($("#fit-card")).show(rows, techniques);
  $("#tech-legend").innerHTML = legend(columnsOf(techniques));
  const graph = new NetworkGraph($("#network-card"));
  graph.setLayers(layers, rows, totalMs(layers));
  graph.show(rows.map((layer) => plainRow(layer, table.times)));
  $("#devices tbody").innerHTML = deviceRows(devices);
  wireTableButtons($("#devices-card"), `${project.name}-devices`, () => page.devices_table);
}

$("#facts").innerHTML = factsMarkup(model, layers);
showStudy();
wireRetry($("#study-note"), { project: project.id, studyOf: () => study, onRetried: () => location.reload() });
if (model) showModel();

/* The page is made anew where the study has found out what it lacks; nobody is pulled away from reading otherwise. */
const lacks = () => !model || layers.some((layer) => layer.ms === null);
const isDone = (stage) => study.stages.some((each) => each.stage === stage && each.state === "done");
const canTell = () => (model ? isDone("PROBE") : isDone("INSPECT"));

function moved(message) {
  if (!hasMoved(message, { study })) return;
  study = { ...study, ...message };
  showStudy();
  if (lacks() && canTell()) location.reload();
}

if (isStudying({ study })) {
  new LiveSocket({
    path: () => `/ws/projects/${project.id}/`,
    onMessage: (message) => message.kind === "study" && moved(message),
    onState: showConnection,
    poll: () => get("/api/status"),
    ping: () => ({ kind: "sync" }),
  });
}
