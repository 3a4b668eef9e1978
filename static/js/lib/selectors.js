// Who chooses the recipe of a build: the words that change with the choice.

export const USUAL = "dqn";

/** "chosen by AdaDeep as published (paper), counting analytic (paper)"; nothing of today's selector. */
export function chosenBy(selector, switches = {}) {
  if (!selector || selector.name === USUAL) return "";
  return `chosen by ${selector.inside}${switches?.view ? `, counting ${switches.view}` : ""}`;
}

/** What the build button does, where that is not to build the recipe shown; else nothing. */
export function buildNote(selector) {
  if (selector.name === USUAL) return "";
  return `“Build this model” builds what ${selector.inside} finds, not the recipe shown, which is of today’s selector.`;
}

/** What a build is asked for: the recipe that is shown, or another selector that finds one. */
export function buildChoice(selector, view, config) {
  if (selector.name === USUAL) return { config };
  return { config: null, selector: selector.name, ...(selector.views.length && view ? { classic: { view } } : {}) };
}
