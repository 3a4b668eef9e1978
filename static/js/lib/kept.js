// What was typed stays with the page's place in the browser's history: Back and a reload bring it again.

/** What was kept under that name, or null. */
export const kept = (name) => history.state?.[name] ?? null;

export const keep = (name, value) => history.replaceState({ ...history.state, [name]: value }, "");

/** A search field: `show(text)` now and at every letter, with what was typed before. */
export function keepTyped(input, show) {
  input.value = kept(input.id) ?? "";
  show(input.value);
  input.addEventListener("input", () => {
    keep(input.id, input.value);
    show(input.value);
  });
}
