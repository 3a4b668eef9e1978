// How far a study is, from what the studio loaded.

const STOPPED = ["failed", "cancelled", "paused"];

const signature = (study) => JSON.stringify([study.state, study.stopped, study.stage, study.job, study.finished, (study.stages ?? []).map((stage) => stage.state)]);

/** Whether a study's message says something else than what is shown. */
export const hasMoved = (study, studio) => !studio || signature(study) !== signature(studio.study);

/** Whether more is to come; true, too, while nothing is loaded yet. */
export const isStudying = (studio) => !studio || (studio.study.finished !== true && !studio.study.stopped && !STOPPED.includes(studio.study.state));

/** Whether the policy answers. */
export const isReady = (studio) => studio?.study.state === "ready" && studio.candidates.length > 0;
