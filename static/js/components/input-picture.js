// An example as people see it: an image for [channels, height, width], curves for [channels, steps].
// The report carries it as bytes, 0 to 255 over the example's own range, in base64.

const TOKENS = ["--accent", "--tech-svd", "--tech-depthwise", "--tech-sparse", "--tech-fire", "--tech-prune"];

/** input: {shape, data}; null where it is nothing to look at. */
export function inputPicture({ shape, data }, label) {
  const values = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  if (values.length !== shape.reduce((product, size) => product * size, 1)) return null;
  const picture = shape.length === 3 ? image(shape, values) : shape.length === 2 ? curves(shape, values) : null;
  picture?.setAttribute("role", "img");
  picture?.setAttribute("aria-label", label);
  return picture;
}

/* One channel is grey, three are red, green, blue; of other counts the first is shown. */
function image([channels, height, width], values) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  const plane = width * height;
  for (let i = 0; i < plane; i += 1) {
    for (let c = 0; c < 3; c += 1) pixels.data[4 * i + c] = values[(channels === 3 ? c * plane : 0) + i];
    pixels.data[4 * i + 3] = 255;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function curves([channels, steps], values) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 100 100");
  for (let c = 0; c < Math.min(channels, TOKENS.length); c += 1) {
    const line = document.createElementNS(svg.namespaceURI, "polyline");
    const at = (i) => `${((100 * i) / Math.max(1, steps - 1)).toFixed(1)},${(95 - (90 * values[c * steps + i]) / 255).toFixed(1)}`;
    line.setAttribute("points", Array.from({ length: steps }, (_, i) => at(i)).join(" "));
    line.style.cssText = `fill:none;stroke:var(${TOKENS[c]});stroke-width:1.2`;
    svg.append(line);
  }
  return svg;
}
