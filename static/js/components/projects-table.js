// The projects: rows, delete in place, empty and error states. Emits "project-delete" {id},
// "job-cancel" {job}.
import { escape } from "../lib/dom.js";
import { ago, bytes } from "../lib/format.js";
import { badge } from "../lib/markup.js";
import { reachedText } from "../lib/reached.js";
import { isActive, pillOf } from "../lib/states.js";

const MARK = '<svg width="48" height="48" viewBox="0 0 22 22" aria-hidden="true"><rect x="1" y="3" width="20" height="4" rx="2" fill="currentColor" opacity=".28"/><rect x="4" y="9" width="14" height="4" rx="2" fill="currentColor" opacity=".45"/><rect x="7.500" y="15" width="7" height="4" rx="2" fill="var(--accent)"/></svg>';

/* "VGG-16 on cifar10.npz"; a sample's data has the sample's own name, which need not be said twice. */
function onData(row) {
  if (!row.data_name) return ' <span class="muted">without data</span>';
  return row.data_name === row.name ? "" : ` <span class="muted">on <bdi>${escape(row.data_name)}</bdi></span>`;
}

export class ProjectsTable {
  constructor(node) {
    this.node = node;
    this.asking = null;
    node.addEventListener("click", (event) => this.clicked(event));
    node.addEventListener("keydown", (event) => event.key === "Escape" && this.ask(null));
  }

  set projects(projects) {
    this.rows = projects;
    this.render();
  }

  set error(message) {
    this.node.innerHTML = `<div class="empty"><b class="bad">Projects can't be read.</b><span>${escape(message)} Your files are untouched.</span><button type="button" class="btn" data-retry>Try again</button></div>`;
  }

  render() {
    if (!this.rows.length) {
      this.node.innerHTML = `<div class="empty">${MARK}<b style="color:var(--ink)">No projects yet</b><span>Drop an ONNX model above, or open a sample. It will appear here and survive a restart.</span></div>`;
      return;
    }
    const disk = this.rows.reduce((sum, row) => sum + (row.size_bytes ?? 0), 0);
    const count = `${this.rows.length} ${this.rows.length === 1 ? "project" : "projects"}${disk ? `, ${bytes(disk)} on disk` : ""}`;
    this.node.innerHTML = `<div class="card flush"><div class="row spread card-head"><h2 id="projects-title">Projects</h2><span class="small muted">${count}</span></div>
      <div class="table-wrap"><table class="as-cards"><caption class="sr">Projects</caption><thead><tr><th>Model</th><th>Target device</th><th>Newest result</th><th>Status</th><th class="n">Updated</th><th><span class="sr">Actions</span></th></tr></thead>
      <tbody>${this.rows.map((row) => (row.id === this.asking ? this.question(row) : this.row(row))).join("")}</tbody></table></div></div>`;
  }

  row(row) {
    const [tone, words] = pillOf(row.state, row.stage, row.done);
    const share = Math.round((row.done ?? 0) * 100);
    const bar = row.state === "running" ? `<span class="bar" style="--done:${share}%" role="progressbar" aria-label="Progress of ${escape(row.name)}" aria-valuenow="${share}" aria-valuemin="0" aria-valuemax="100"><i></i></span>` : "";
    return `<tr data-project="${row.id}"><td class="full"><a class="strong plain-link" href="${escape(row.url)}"><bdi>${escape(row.name)}</bdi></a>${onData(row)}<br><a class="small-link" href="${escape(row.model_url)}" aria-label="Layers and devices of ${escape(row.name)}">Layers and devices</a></td>
      <td class="full" data-label="Target">${escape(row.target?.title ?? "")}</td><td class="full reached" data-label="Newest result">${this.best(row.best)}</td>
      <td class="status-cell"><span class="pill ${tone}">${words}</span>${bar}</td><td class="n muted">${ago(row.updated)}</td>
      <td class="n full nowrap">${this.actions(row)}<button type="button" class="btn quiet danger" data-ask="${row.id}" aria-label="Delete ${escape(row.name)}">Delete</button></td></tr>`;
  }

  best(best) {
    if (!best) return '<span class="muted">none yet</span>';
    return `${reachedText(best)}<br>${badge(best.label, best.measured ? "measured on this host" : best.label)}`;
  }

  actions(row) {
    const link = (url, text) => `<a class="btn quiet" href="${escape(url)}">${text}</a>`;
    if (isActive(row.state) && row.job) return `<button type="button" class="btn quiet" data-cancel-job="${row.job.id}" aria-label="Cancel ${escape(row.name)}">Cancel</button>${link(row.job.url, "Watch")}`;
    if (row.state === "paused" && row.job) return link(row.job.url, "Resume");
    if (row.state === "failed" && row.job) return link(row.job.url, "See why");
    return row.result_url ? link(row.result_url, "Report") : link(row.url, "Open");
  }

  question(row) {
    const size = row.size_bytes ? ` and ${bytes(row.size_bytes)} of files` : "";
    return `<tr class="asking" data-project="${row.id}"><td colspan="5" class="full">Delete <bdi class="strong">${escape(row.name)}</bdi>${size}?</td><td class="n full nowrap"><button type="button" class="btn danger" data-delete="${row.id}">Delete</button> <button type="button" class="btn" data-keep>Keep</button></td></tr>`;
  }

  ask(id) {
    const previous = this.asking;
    if (previous === id) return;
    this.asking = id;
    this.render();
    const next = id ? this.node.querySelector("[data-keep]") : this.node.querySelector(`[data-ask="${previous}"]`);
    next?.focus();
  }

  clicked(event) {
    const { ask, delete: gone, keep, cancelJob, retry } = event.target.closest("button")?.dataset ?? {};
    if (ask) this.ask(ask);
    if (keep !== undefined) this.ask(null);
    if (gone) this.emit("project-delete", { id: gone });
    if (cancelJob) this.emit("job-cancel", { job: cancelJob });
    if (retry !== undefined) location.reload();
  }

  emit(type, detail) {
    this.node.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
