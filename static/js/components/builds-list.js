// The builds of a project in the studio: which device, how it went, what it reached, and where to look.
import { escape } from "../lib/dom.js";
import { ago } from "../lib/format.js";
import { reachedText } from "../lib/reached.js";
import { chosenBy } from "../lib/selectors.js";
import { isDelivered, pillOf } from "../lib/states.js";

const LINKS = { queued: "Watch", running: "Watch", failed: "See why", paused: "Resume", cancelled: "Open" };

function row(build) {
  const [tone, words] = pillOf(build.state, build.stage);
  const by = chosenBy(build.selector);
  const link = isDelivered(build.state) ? "Report" : (LINKS[build.state] ?? "Open");
  return `<tr><td class="full"><b>${escape(build.target)}</b>${by ? `<br><span class="small muted">${escape(by)}</span>` : ""}</td><td class="full">${build.best ? escape(reachedText(build.best)) : '<span class="muted">–</span>'}</td>
    <td><span class="pill ${tone}">${words}</span></td><td class="n muted">${ago(build.created)}</td>
    <td class="n full">${isDelivered(build.state) ? `<a class="btn quiet" href="/compare/?a=${escape(build.id)}" aria-label="Compare: build for ${escape(build.target)}, ${ago(build.created)}">Compare</a>` : ""}<a class="btn quiet" href="${escape(build.url)}" aria-label="${link}: build for ${escape(build.target)}, ${ago(build.created)}">${link}</a></td></tr>`;
}

/** Rows for the body of the builds table, newest first. */
export const buildRows = (builds) => builds.map(row).join("");
