import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../static/js/", import.meta.url);
const files = ["components", "lib", "pages", "workers"].flatMap((folder) => readdirSync(new URL(`${folder}/`, ROOT)).map((name) => `${folder}/${name}`));
const texts = new Map(files.map((file) => [file, readFileSync(new URL(file, ROOT), "utf-8")]));
const exported = new Set([...texts.values()].flatMap((text) => [...text.matchAll(/^export (?:async )?(?:function|const|class) (\w+)/gm)].map((found) => found[1])));

/* Names that a file takes from others or makes itself: by import, const, function, class, parameter or method. */
function known(text, name) {
  const made = [`import [^;]*\\b${name}\\b[^;]*from`, `(?:const|let|function|class|set|get) (?:[\\[{][^=]*)?\\b${name}\\b`, `[(,{] *${name}\\b[^()]*\\) *(?:=>|\\{)`, `^ +(?:async |static )?${name}\\(.*\\{$`];
  return made.some((pattern) => new RegExp(pattern, "m").test(text));
}

test("what a file calls it has imported or made", () => {
  const missing = [...texts].flatMap(([file, text]) => [...exported].filter((name) => new RegExp(`(?<![.\\w])${name}\\(`).test(text) && !known(text, name)).map((name) => `${file}: ${name}`));
  assert.deepEqual(missing, []);
});
