// Fragments that several components write: badge, before → after, note.
import { escape } from "./dom.js";
import { ICONS } from "./icons.js";
import { tierOf } from "./evidence.js";

/** A badge: the dot fills with evidence, the words say the band. */
export const badge = (label, text) => `<span class="tier" data-tier="${tierOf(label)}">${escape(text)}</span>`;

/** "28 → 3.3"; printed once, grey, when nothing changed. */
export function beforeAfter(before, after, show) {
  const [from, to] = [show(before), show(after)];
  return from === to ? `<span class="muted">${to}</span>` : `<span class="was">${from}</span><b>${to}</b>`;
}

/** A message with its icon. */
export const note = (tone, body, icon = tone === "bad" || tone === "warn" ? "warn" : "info") =>
  `<section class="note ${tone}">${ICONS[icon]}<div class="stack grow" style="gap:12px">${body}</div></section>`;

/** Puts the icons into the template's placeholders. */
export function fillIcons(root = document) {
  for (const node of root.querySelectorAll("[data-icon]")) {
    node.innerHTML = ICONS[node.dataset.icon] ?? "";
  }
}
