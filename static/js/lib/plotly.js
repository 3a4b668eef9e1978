// Plotly is fetched along with the page, but run once the page was painted: its megabyte of script would hold that up.
let asked = null;

/** Settles when Plotly can draw. */
export function plotly() {
  asked ??= new Promise((resolve) => requestAnimationFrame(() => setTimeout(() => {
    const script = document.createElement("script");
    script.src = document.querySelector("#plotly").href;
    script.addEventListener("load", resolve);
    document.head.append(script);
  })));
  return asked;
}
