// Projects: start in one gesture, or resume.
import { get, post, quietly, remove } from "../lib/api.js";
import "../components/drop-zone.js";
import { ProjectsTable } from "../components/projects-table.js";
import { $, escape, pageData } from "../lib/dom.js";
import { isActive } from "../lib/states.js";
import { discard, sendFile } from "../lib/transfer.js";

const PICTURES = {
  digit: '<svg width="48" height="48" viewBox="0 0 28 28" aria-hidden="true" shape-rendering="crispEdges"><path fill="var(--ink)" d="M6 5h16v3h-2v3h-2v3h-2v3h-2v6h-3v-6h2v-3h2v-3h2V9H8v1H6z"/></svg>',
  motion: '<svg width="60" height="48" viewBox="0 0 60 48" fill="none" stroke-width="2" stroke-linecap="round" aria-hidden="true"><path stroke="var(--accent)" d="M3 10c6-9 10 8 16 2s9-6 14 1 10 5 14-1 6-4 10 0"/><path stroke="var(--tech-svd)" d="M3 25c5 6 9 4 14-1s10-3 15 2 9 4 13 0 8-4 12 1"/><path stroke="var(--tech-depthwise)" d="M3 41c6-1 8-8 14-6s8 8 15 5 9-9 15-6 6 5 10 4"/></svg>',
};

const zone = $("#drop");
const uploads = { model: null, data: null };
const ready = { model: null, data: null };
const page = pageData();
const interrupted = page.transfers ?? []; // the newest first

function renderSamples(samples) {
  $("#samples").innerHTML = samples.map((sample, i) => `<button type="button" class="card sample" data-sample="${escape(sample.name)}"><span class="picture">${PICTURES[sample.picture] ?? PICTURES[i ? "motion" : "digit"]}</span><span><b class="strong">${escape(sample.title)}</b><br><span class="small muted">${escape(sample.text)}</span></span></button>`).join("");
}

async function readFile({ slot, file }) {
  uploads[slot]?.replace(file);
  ready[slot] = null;
  const shown = { name: file.name, size_bytes: file.size };
  if (file.size > (page.upload_limit_bytes ?? 2 ** 31)) {
    return zone.setSlot(slot, { ...shown, state: "refused", message: `The file is ${(file.size / 2 ** 30).toFixed(1)} GiB; the limit is 2 GiB.` });
  }
  zone.setSlot(slot, { ...shown, state: "reading", share: 0 });
  const sending = sendFile(slot, file, (change) => uploads[slot] === sending && zone.setSlot(slot, { ...shown, ...change }));
  uploads[slot] = sending;
  try {
    const stored = await sending.done;
    if (uploads[slot] !== sending) return;
    ready[slot] = stored;
    zone.setSlot(slot, { ...shown, state: "ready" });
  } catch (error) {
    if (uploads[slot] !== sending) return;
    zone.setSlot(slot, { ...shown, state: "refused", message: error.message });
  }
}

/* What an earlier visit began: the browser has forgotten the file, the server what came of it. */
function showInterrupted(kind) {
  const found = interrupted.find((transfer) => transfer.kind === kind);
  if (!found) return zone.setSlot(kind, { state: "idle" });
  const { name, size_bytes, received_bytes } = found;
  uploads[kind] = { replace: () => {}, cancel: () => forget(found) };
  zone.setSlot(kind, { state: "interrupted", name, size_bytes, share: received_bytes / size_bytes, message: "Interrupted. Choose the same file again, and it goes on from there." });
}

function forget(transfer) {
  interrupted.splice(interrupted.indexOf(transfer), 1);
  discard(transfer.id);
}

function cancelFile({ slot }) {
  uploads[slot]?.cancel();
  uploads[slot] = null;
  showInterrupted(slot);
}

async function openStudio() {
  zone.setOpening("Opening");
  try {
    const { url } = await post("/api/projects", { model: ready.model.id, data: ready.data?.id ?? null, preprocessing: null });
    location.assign(url);
  } catch (error) {
    zone.setOpening(null);
    zone.setSlot("model", { state: "refused", name: ready.model.name, size_bytes: ready.model.size_bytes, message: error.message });
  }
}

async function openSample(button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    const { url } = await post(`/api/samples/${encodeURIComponent(button.dataset.sample)}/open`);
    location.assign(url);
  } catch (error) {
    button.removeAttribute("aria-disabled");
    $("#sample-error").textContent = error.message;
    $("#sample-error").hidden = false;
  }
}

const table = new ProjectsTable($("#projects"));
renderSamples(page.samples ?? []);
for (const kind of ["model", "data"]) showInterrupted(kind);
table.projects = page.projects ?? [];

zone.addEventListener("file-chosen", (event) => readFile(event.detail));
zone.addEventListener("file-cancel", (event) => cancelFile(event.detail));
zone.addEventListener("open-studio", openStudio);
$("#samples").addEventListener("click", (event) => {
  const button = event.target.closest("[data-sample]");
  if (button) openSample(button);
});
table.node.addEventListener("project-delete", async ({ detail }) => {
  try {
    await remove(`/api/projects/${detail.id}`);
    table.asking = null;
    table.projects = table.rows.filter((row) => row.id !== detail.id);
  } catch (error) {
    table.error = error.message;
  }
});
table.node.addEventListener("job-cancel", async ({ detail }) => {
  await quietly(post(`/api/jobs/${detail.job}/cancel`));
  quietly(refresh());
});

/* Rows move while jobs run; a question that is open is left alone. */
async function refresh() {
  if (document.hidden || table.asking || !table.rows.some((row) => isActive(row.state))) return;
  table.projects = (await get("/api/projects")).projects;
}
setInterval(() => quietly(refresh()), 4000);
// A page that the browser kept still says "Opening".
addEventListener("pageshow", (event) => event.persisted && location.reload());
