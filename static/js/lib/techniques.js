// Technique: hue and letter. The letter is the identity; the hue only helps.
import { escape } from "./dom.js";

const KEEP = { title: "Keep", letter: "–", token: "tech-keep", note: "The layer stays as it is." };

let known = { keep: KEEP };

/** Takes the titles, letters and tokens that the server knows. */
export function setTechniques(techniques) {
  known = { keep: KEEP, ...techniques };
}

/** Stacked techniques ("filter_pruning+svd") as a list; nothing means keep. */
export const partsOf = (technique) => String(technique || "keep").split("+");

export const lookOf = (name) => known[name] ?? { title: name.replaceAll("_", " "), letter: "?", token: "tech-keep" };

export const titleOf = (technique) => partsOf(technique).map((name) => lookOf(name).title).join(" + ");

export const lettersOf = (technique) => partsOf(technique).map((name) => lookOf(name).letter);

const variable = (token) => `var(--${String(token).replace(/^var\(|^--|\)$/g, "").replace(/^--/, "")})`;

/** The inline style that gives a tile its fill; two halves for two stacked techniques. */
export function fillOf(technique) {
  const [first, second] = partsOf(technique).map((name) => variable(lookOf(name).token));
  return second ? `--tech:${first};--tech-2:${second}` : `--tech:${first}`;
}

export const isStacked = (technique) => partsOf(technique).length > 1;

/** How a layer's weights are stored when nothing was done about it. */
const PLAIN = "fp32";

export const isSmall = (stored) => Boolean(stored) && stored !== PLAIN;

/** A small tile, decoration beside the technique's name. */
export function tile(technique, stored = PLAIN) {
  const classes = ["tech", isSmall(stored) && "small-weights", isStacked(technique) && "two"].filter(Boolean).join(" ");
  const letters = lettersOf(technique).map((letter) => `<span>${escape(letter)}</span>`).join("");
  return `<span class="${classes}" style="${fillOf(technique)}" aria-hidden="true">${letters}</span>`;
}

/** A mark that explains a technique: what it brings, its number in the papers, where it comes from. Nothing for one of which nothing is known. */
export function techniqueHelp(name) {
  const { title, note, labels = [], paper } = lookOf(name);
  const text = [note, labels.length && `In the papers on AdaDeep ${labels.join(" and ")}.`, paper].filter(Boolean).join(" ");
  return text ? `<help-note about="${escape(title)}">${escape(text)}</help-note>` : "";
}

/** Legend entries for the techniques in use, and for each way in which weights are stored small. */
export function legend(techniques, stored = []) {
  const names = [...new Set(techniques.flatMap(partsOf))];
  const items = names.map((name) => `<li>${tile(name)}${escape(lookOf(name).title)}${techniqueHelp(name)}</li>`);
  const ways = [...new Set(stored.filter(isSmall))];
  items.push(...ways.map((way) => `<li><span class="tech small-weights" aria-hidden="true"></span>${escape(way)}</li>`));
  return items.join("");
}
