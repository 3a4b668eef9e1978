import assert from "node:assert/strict";
import { test } from "node:test";
import { jobNote } from "../../static/js/components/job-note.js";
import { studyNote } from "../../static/js/components/study-facts.js";

const failed = { job: "7", state: "failed", stage: "PROBE", message: "conv1 cannot be <probed>.", reference: "" };
const EDIT = '<button data-action="edit">Edit</button>';
const buttons = (markup) => [...markup.matchAll(/<(?:button|a) [^>]*class="btn( primary)?"[^>]*>([^<]+)</g)].map(([, primary, text]) => (primary ? `(${text})` : text));

test("a study that failed says where and why, and offers to retry, to edit and its log", () => {
  const note = studyNote(failed, [], EDIT);
  assert.match(note, /The study stopped at Probe/);
  assert.match(note, /conv1 cannot be &lt;probed&gt;\./);
  assert.deepEqual(buttons(note), ["(Retry as is)", "Download log", "See what happened"]);
  assert.ok(note.includes(EDIT));
  assert.ok(note.includes('href="/jobs/7/log/"'));
});

test("a refused file asks for another one first; a fault of ours for another try", () => {
  const refused = studyNote({ ...failed, stage: "INSPECT" });
  assert.deepEqual(buttons(refused).slice(0, 2), ["(Choose other files)", "Retry as is"]);
  const fault = studyNote({ ...failed, stage: "INSPECT", reference: "7QK2-04" });
  assert.equal(buttons(fault)[0], "(Retry as is)");
  assert.match(fault, /Reference <code>7QK2-04<\/code>/);
});

test("a study whose job is gone can be tried again, and has no log", () => {
  const note = studyNote({ ...failed, job: null, stage: "", message: "" });
  assert.match(note, /The study stopped at the start/);
  assert.deepEqual(buttons(note), ["(Retry as is)"]);
});

test("the job's own page says the same of it", () => {
  const job = { ...failed, kind: "study", project: { id: 3 } };
  assert.deepEqual(buttons(jobNote(job)), ["(Retry as is)", "Back to the studio", "Download log"]);
  assert.ok(buttons(jobNote({ ...job, kind: "build" })).includes("Edit goals"));
});
