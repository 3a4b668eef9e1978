// How warm a cell of a heat map is, and what a row of the comparison of devices says.
import { predicted, ratio } from "./format.js";

/** Share of full colour for "so many times better": none at 1, half at 2.8, full from 8. */
export const warmth = (times) => (times > 1 ? Math.min(1, Math.log2(times) / 3) : 0);

/** The five cells of a recipe on a device: text, and how warm. */
export function cellsOf(recipe) {
  return [
    { label: "Latency", text: `${predicted(recipe.latency_ms)} ms`, warm: 0 },
    { label: "Faster", text: ratio(recipe.times_faster), warm: warmth(recipe.times_faster) },
    { label: "Energy", text: ratio(recipe.times_less_energy), warm: warmth(recipe.times_less_energy) },
    { label: "Smaller", text: ratio(recipe.times_smaller), warm: warmth(recipe.times_smaller) },
    { label: "Points lost", text: recipe.drop_points.toFixed(1), warm: 0 },
  ];
}

const lower = (sentence) => sentence[0].toLowerCase() + sentence.slice(1);
const fitText = (which, { misfit }) => ({ text: misfit ? `${which} recipe ${lower(misfit)}` : `${which} recipe fits.`, fits: !misfit });

/** What there is to say of memory on a device: nothing where both recipes fit, of a tie only what holds for this one. */
export function fitNotes({ recipe, best, tie }) {
  if (!recipe.misfit && !best.misfit) return [];
  return [fitText("This", recipe), ...(tie ? [] : [fitText("Best", best)])];
}
