// How we know a number: the label that comes with it, the dot that fills, the words beside it.

const TIERS = {
  measured: "measured",
  calibrated: "calibrated",
  "same chip": "same",
  "similar chip": "similar",
  rough: "rough",
  exact: "exact",
};

export const TIER_MEANING = [
  ["measured", "Measured", "timed on this very device, p10–p90 of the runs"],
  ["calibrated", "Calibrated", "your own runs correct the model"],
  ["same", "Same chip", "public runs on this very chip"],
  ["similar", "Similar chip", "public runs on the same type of core"],
  ["rough", "Rough", "from specifications only"],
];

/** The families of the catalogue, in its order. */
export const FAMILIES = { own: "Your devices", host: "This machine", phone: "Phones", watch: "Watches", board: "Boards", box: "Set-top boxes", microcontroller: "Microcontrollers" };

/** The name of a chip, and its cores: what stands before and after the first comma of its description. */
export const chipName = (chip) => chip.split(", ", 1)[0];
export const coresOf = (chip) => chip.split(", ").slice(1).join(", ").replaceAll("Cortex-", "");

/** What a device computes with: "ncnn, 4 threads, fp32". */
export const runsText = ({ runtime, threads, arithmetic }) => `${runtime}, ${threads === 1 ? "one thread" : `${threads} threads`}, ${arithmetic}`;

/** The badge's data-tier for an engine label; an unknown label counts as rough, never as better. */
export const tierOf = (label) => TIERS[label] ?? "rough";

const EVEN = 0.03;

/** A band as people read it: in percent when both ends lie equally far or near, else as a factor. */
export function bandText(low, high) {
  const factor = Math.max(high, 1 / low);
  if (!Number.isFinite(factor) || factor <= 1.005) return "";
  const [below, above] = [1 - low, high - 1];
  if (Math.abs(above - below) < EVEN) return `±${Math.max(1, Math.round(above * 100))} %`;
  if (factor <= 1.35) return `±${Math.round((factor - 1) * 100)} %`;
  return `×/÷ ${Number(factor.toFixed(1))}`;
}

const HALF_IN_NINE_TENTHS = 0.41; // of a normal error, the half that lies within against the nine tenths

/** How far off half of the predictions are that lie in such a band nine times in ten. */
export const typicalError = (high) => `±${Math.max(1, Math.round(100 * (high ** HALF_IN_NINE_TENTHS - 1)))} %`;

/** The words on a predicted number: "predicted ±30 %", "rough ×/÷ 2". */
export function evidenceText(label, low, high) {
  if (label === "exact") return "counted exactly";
  if (label === "measured") return "measured";
  const word = tierOf(label) === "rough" ? "rough" : "predicted";
  return [word, bandText(low, high)].filter(Boolean).join(" ");
}
