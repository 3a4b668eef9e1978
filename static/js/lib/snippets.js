// The code that runs the model: the engine wrote it, so that pages and files show the same.
import { escape } from "./dom.js";

/** Buttons of the languages, the first one pressed. */
export const languageButtons = (snippets) => snippets.map(({ name, title }, i) => `<button type="button" value="${escape(name)}" aria-pressed="${i === 0}">${escape(title)}</button>`).join("");

/** The code in a language; empty where a report has none. */
export const codeIn = (snippets, language) => snippets.find(({ name }) => name === language)?.code ?? "";

/** What a file of another format is good for, from its row in the report. */
export function formatUse({ runtime, difference } = {}) {
  return runtime ? `ran in ${runtime}, differs by ${Number(difference).toExponential(0)} of the largest output` : "";
}
