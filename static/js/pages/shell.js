// What every page does: icons, whether the worker answers, and double clicks that stay where they began.
import { get, quietly } from "../lib/api.js";
import { keepDoubleClicks } from "../lib/double-clicks.js";
import { setText } from "../lib/dom.js";
import { fillIcons } from "../lib/markup.js";

const EVERY_MS = 15_000;

async function refreshWorker() {
  const node = document.getElementById("worker");
  // Whoever is not known to the server is told nothing of its workers.
  if (document.hidden || !node?.dataset.state) return;
  const { worker } = await get("/api/status");
  if (!worker) return;
  node.hidden = false;
  node.dataset.state = worker.state;
  setText(node, worker.text);
}

fillIcons();
keepDoubleClicks(window);
if (document.getElementById("worker")) setInterval(() => quietly(refreshWorker()), EVERY_MS);
