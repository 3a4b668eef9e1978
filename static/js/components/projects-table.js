// The projects: rows, delete in place, empty and error states. Emits "project-delete" {id},
// "job-cancel" {job}.
import { escape } from "../lib/dom.js";
import { ago, bytes, measuredRatio, signed } from "../lib/format.js";
import { badge } from "../lib/markup.js";
import { isActive, pillOf } from "../lib/states.js";

const MARK = '<svg width="48" height="48" viewBox="0 0 22 22" aria-hidden="true"><rect x="1" y="3" width="20" height="4" rx="2" fill="currentColor" opacity=".28"/><rect x="4" y="9" width="14" height="4" rx="2" fill="currentColor" opacity=".45"/><rect x="7.500" y="15" width="7" height="4" rx="2" fill="var(--accent)"/></svg>';

/* A finished study is "ready", not "finished": nothing was built yet. */
export function stateOf(row) {
  if (row.job?.kind === "study" && row.study?.state === "ready" && !isActive(row.job.state)) return "ready";
  return row.job?.state ?? row.study?.state ?? "failed";
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
      <div class="table-wrap"><table class="as-cards"><caption class="sr">Projects</caption><thead><tr><th>Model</th><th>Target device</th><th>Best result so far</th><th>Status</th><th class="n">Updated</th><th><span class="sr">Actions</span></th></tr></thead>
      <tbody>${this.rows.map((row) => (row.id === this.asking ? this.question(row) : this.row(row))).join("")}</tbody></table></div></div>`;
  }

  row(row) {
    const state = stateOf(row);
    const share = row.job?.progress ?? null;
    const [tone, words] = pillOf(state, row.job?.stage, share);
    const bar = state === "running" && share !== null ? `<span class="bar" style="--done:${Math.round(share * 100)}%" role="progressbar" aria-label="Progress of ${escape(row.name)}" aria-valuenow="${Math.round(share * 100)}" aria-valuemin="0" aria-valuemax="100"><i></i></span>` : "";
    const data = row.data_name ? ` <span class="muted">on ${escape(row.data_name)}</span>` : ' <span class="muted">without data</span>';
    return `<tr data-project="${row.id}"><td class="full"><a class="strong plain-link" href="${row.url}">${escape(row.name)}</a>${row.name.includes(" on ") ? "" : data}</td>
      <td class="full">${escape(row.target_title ?? "")}</td><td class="full">${this.best(row.result)}</td>
      <td class="status-cell"><span class="pill ${tone}">${words}</span>${bar}</td><td class="n muted">${ago(row.updated)}</td>
      <td class="n full nowrap">${this.action(row)}<button type="button" class="btn quiet danger" data-ask="${row.id}" aria-label="Delete ${escape(row.name)}">Delete</button></td></tr>`;
  }

  best(result) {
    if (!result) return '<span class="muted">none yet</span>';
    const { host_latency: speed, size } = result.ratios ?? {};
    const parts = [speed && (speed >= 1 ? `${measuredRatio(speed)} faster` : `${measuredRatio(1 / speed)} slower`), size && `${measuredRatio(size)} smaller`, `${signed(-(result.accuracy_drop_points ?? 0))} pt`];
    return `${parts.filter(Boolean).join(", ")}<br>${badge("measured", "measured on this host")}`;
  }

  action(row) {
    const open = (url, text) => `<a class="btn quiet" href="${escape(url)}">${text}</a>`;
    const state = stateOf(row);
    if (isActive(state) && row.job) return `<button type="button" class="btn quiet" data-cancel-job="${row.job.id}" aria-label="Cancel ${escape(row.name)}">Cancel</button>${open(row.job.url, "Watch")}`;
    const report = row.job?.result_url ?? row.result?.url;
    if (report) return open(report, "Report");
    return open(state === "failed" && row.job ? row.job.url : row.url, "Open");
  }

  question(row) {
    const size = row.size_bytes ? ` and ${bytes(row.size_bytes)} of files` : "";
    return `<tr class="asking" data-project="${row.id}"><td colspan="5" class="full">Delete <b>${escape(row.name)}</b>${size}?</td><td class="n full nowrap"><button type="button" class="btn danger" data-delete="${row.id}">Delete</button> <button type="button" class="btn" data-keep>Keep</button></td></tr>`;
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
