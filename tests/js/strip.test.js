import assert from "node:assert/strict";
import { test } from "node:test";
import { blocksOf, keyOfTile, tileOfBlock } from "../../static/js/lib/strip.js";

const layers = (...times) => times.map((ms, i) => ({ name: `l${i}`, ms }));
const tile = (layer, technique, ms = 1) => ({ layer, technique, level: "1/2", stored: "fp32", ms });

test("each layer has a block while there is room", () => {
  assert.deepEqual(blocksOf(layers(1, 2), 2), [{ names: ["l0"], ms: 1 }, { names: ["l1"], ms: 2 }]);
});

test("without room the neighbours that take least time share a block", () => {
  const blocks = blocksOf(layers(5, 1, 2, 9, 3), 4);
  assert.deepEqual(blocks.map(({ names }) => names), [["l0"], ["l1", "l2"], ["l3"], ["l4"]]);
});

test("a thousand layers keep their order and their time", () => {
  const many = layers(...Array.from({ length: 1000 }, (_, i) => (i * 7) % 13));
  const blocks = blocksOf(many, 40);
  assert.equal(blocks.length, 40);
  assert.deepEqual(blocks.flatMap(({ names }) => names), many.map(({ name }) => name));
  assert.equal(blocks.reduce((sum, { ms }) => sum + ms, 0), many.reduce((sum, { ms }) => sum + ms, 0));
});

test("a block of one layer shows that layer", () => {
  assert.deepEqual(tileOfBlock([tile("a", "svd")]), { ...tile("a", "svd"), layers: 1 });
});

test("a shared block shows what most of its layers get, and all their time", () => {
  const shown = tileOfBlock([tile("a", "keep"), tile("b", "svd", 2), tile("c", "svd", 3)]);
  assert.equal(shown.technique, "svd");
  assert.equal(shown.ms, 6);
  assert.equal(shown.layers, 3);
  assert.equal(shown.alike, false);
});

test("a block whose layers no longer all get the same is written again", () => {
  const all = tileOfBlock([tile("a", "svd"), tile("b", "svd"), tile("c", "svd")]);
  const most = tileOfBlock([tile("a", "svd"), tile("b", "svd"), tile("c", "keep")]);
  assert.notEqual(keyOfTile(all), keyOfTile(most));
  assert.equal(keyOfTile(all), keyOfTile({ ...all }));
});
