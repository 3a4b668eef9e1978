// The head of a table that is sorted by its columns.
import { $$ } from "../lib/dom.js";

/** How rows are sorted after a press on a column's button: turned round, or by another column; said in the head. */
export function pressed(button, table, sort) {
  const key = button.dataset.sort;
  const next = { key, down: sort.key === key ? !sort.down : key !== "order" };
  for (const th of $$("th[aria-sort]", table)) th.removeAttribute("aria-sort");
  button.closest("th").setAttribute("aria-sort", next.down ? "descending" : "ascending");
  return next;
}
