import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "../../static/js/lib/api.js";
import { fingerprint, sendFile } from "../../static/js/lib/transfer.js";

const CHUNK = 4;
const lost = () => new ApiError("The server can't be reached.", "unreachable", 0);
const fileOf = (text, lastModified = 1) => new File([text], "points.npz", { lastModified });

/** A server that keeps what comes; `fail(call, count)` may throw in its place. */
function serverOf(text = "", fail = () => {}) {
  const server = { text, calls: [], removed: null };
  const state = () => ({ id: "t", received_bytes: server.text.length, chunk_bytes: CHUNK });
  const say = async (call, answer) => {
    server.calls.push(call);
    fail(call, server.calls.filter((made) => made === call).length);
    return answer();
  };
  return Object.assign(server, {
    begin: () => say("begin", state),
    state: () => say("state", state),
    finish: () => say("finish", () => ({ id: "upload" })),
    remove: async (id) => (server.removed = id),
    chunk: (_id, bytes, offset, onProgress) => ({
      abort: () => {},
      done: say("chunk", () => {
        onProgress(bytes.byteLength);
        assert.equal(offset, server.text.length);
        server.text += new TextDecoder().decode(bytes);
        return state();
      }),
    }),
  });
}

test("a file is sent in chunks and its share grows", async () => {
  const [server, shares] = [serverOf(), []];
  const sending = sendFile("data", fileOf("0123456789"), ({ share }) => shares.push(share), server);
  assert.deepEqual(await sending.done, { id: "upload" });
  assert.equal(server.text, "0123456789");
  assert.deepEqual(shares, shares.toSorted((a, b) => a - b));
  assert.equal(shares.at(-1), 1);
});

test("what an earlier visit sent is not sent again, and that is said", async () => {
  const [server, said] = [serverOf("01234567"), new Set()];
  await sendFile("data", fileOf("0123456789"), ({ message }) => said.add(message), server).done;
  assert.equal(server.text, "0123456789");
  assert.deepEqual(server.calls, ["begin", "chunk", "finish"]);
  assert.deepEqual([...said], ["Went on at 80 %."]);
});

test("a lost connection is waited for, in every call", async () => {
  const states = [];
  const server = serverOf("", (call, count) => {
    if (count === 1 && call !== "state") throw lost();
  });
  await sendFile("data", fileOf("0123456789"), ({ state }) => states.push(state), server).done;
  assert.equal(server.text, "0123456789");
  assert.equal(states.filter((state) => state === "waiting").length, 3);
});

test("what was on its way when the connection broke is not counted as sent", async () => {
  const server = serverOf();
  const shares = [];
  const { chunk } = server;
  server.chunk = (id, bytes, offset, onProgress) => {
    if (offset !== CHUNK || shares.includes("waiting")) return chunk(id, bytes, offset, onProgress);
    onProgress(bytes.byteLength);
    return { abort: () => {}, done: Promise.reject(lost()) };
  };
  const note = ({ state, share }) => shares.push(...(state === "waiting" ? [state, share] : []));
  await sendFile("data", fileOf("0123456789"), note, server).done;
  assert.deepEqual(shares, ["waiting", 0.4]);
});

test("another tab that was faster is followed", async () => {
  const server = serverOf("", (call, count) => {
    if (call === "chunk" && count === 2) {
      server.text = "01234567";
      throw new ApiError("The next chunk begins at byte 8.", "wrong_offset", 409);
    }
  });
  const states = [];
  await sendFile("data", fileOf("0123456789"), ({ state }) => states.push(state), server).done;
  assert.equal(server.text, "0123456789");
  assert.ok(!states.includes("waiting"));
});

test("a refusal ends it", async () => {
  const server = serverOf("", (call) => {
    if (call === "finish") throw new ApiError("This is not a data file.", "file_refused", 422);
  });
  await assert.rejects(sendFile("data", fileOf("x"), () => {}, server).done, /not a data file/);
});

test("a file that changed meanwhile is said to have", async () => {
  const file = fileOf("0123");
  file.slice = () => ({ arrayBuffer: () => Promise.reject(new Error("NotReadableError")) });
  await assert.rejects(sendFile("data", file, () => {}, serverOf()).done, /changed, moved or deleted/);
});

test("cancelled, it is given up; the same file chosen again goes on", async () => {
  for (const [stop, removed] of [
    [(sending) => sending.cancel(), "t"],
    [(sending) => sending.replace(fileOf("0123456789", 2)), "t"],
    [(sending) => sending.replace(fileOf("0123456789")), null],
  ]) {
    const server = serverOf();
    const sending = sendFile("data", fileOf("0123456789"), ({ share }) => share && stop(sending), server);
    await assert.rejects(sending.done);
    assert.equal(server.removed, removed);
  }
});

test("files of one name are told apart by date and content", async () => {
  const marks = [fileOf("a"), fileOf("b"), fileOf("a", 2), fileOf("a")];
  const [one, two, three, same] = await Promise.all(marks.map((file) => fingerprint(file)));
  assert.equal(new Set([one, two, three]).size, 3);
  assert.equal(one, same);
  assert.equal(await fingerprint(fileOf("a"), null), "1 ");
});
