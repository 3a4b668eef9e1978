// Small tools for the page: find, build, escape, remember.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text made safe for innerHTML: layer names and file names are the user's. */
export const escape = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => ENTITIES[c]);

/** The page's own data, written by the template. */
export function pageData() {
  const node = document.getElementById("page-data");
  return node ? JSON.parse(node.textContent) : {};
}

/** Writes text only when it changed, so that unchanged nodes cost no layout. */
export function setText(node, text) {
  if (node && node.textContent !== text) node.textContent = text;
}

/** One pressed button in a group; calls back with its value. */
export function segmented(group, onPick) {
  group.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    for (const other of $$("button", group)) other.setAttribute("aria-pressed", String(other === button));
    onPick(button.value);
  });
}

/** Offers text or bytes as a file. */
export function saveFile(name, content, type = "text/plain") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
