// The shapes of the states as SVG: symbols for the page and an image for the tab.
//
// The numbers are those of the tray's drawing (tray/art.py), for a glyph of radius 1 around the centre. On the page a shape
// has the colour of the text beside it; in the tab it is drawn on the icon's own dark ground.

export const COLOURS = { green: "#2e9e5b", amber: "#f5a623", red: "#e45a4c", blue: "#3b82d0", grey: "#8a8f98" };
const GROUND = "#14161a";
const SVG = "http://www.w3.org/2000/svg";
const line = (d, width, stroke = "currentColor") => ["path", { d, stroke, "stroke-width": width, fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" }];
const solid = (d) => ["path", { d, fill: "currentColor", stroke: "currentColor", "stroke-width": 0.2, "stroke-linejoin": "round" }];
const dot = (cy, r, fill) => ["circle", { cx: 0, cy, r, fill }];
const inner = ([tag, attributes]) => [tag, { ...attributes, class: "inner" }];

const GLYPHS = {
  tick: [dot(0, 1, "currentColor"), inner(line("M-.52 .06 -.13 .46 .56 -.38", 0.3, "#fff"))],
  retry: [
    ["path", { d: "M.75 0A.75 .75 0 1 1 -.104 -.743", stroke: "currentColor", "stroke-width": 0.4, fill: "none" }],
    ["path", { d: "M-.16 -1.14 .56 -.64 -.16 -.28Z", fill: "currentColor" }],
  ],
  warning: [solid("M0 -.92 .98 .72 -.98 .72Z"), inner(line("M0 -.42V.14", 0.28, "#fff")), inner(line("M0 .5V.52", 0.3, "#fff"))],
  cross: [dot(0, 1, "currentColor"), inner(line("M-.48 -.48 .48 .48M-.48 .48 .48 -.48", 0.33, "#fff"))],
  open: [["circle", { r: 0.8, fill: "none", stroke: "currentColor", "stroke-width": 0.36 }]],
  square: [["rect", { x: -0.68, y: -0.68, width: 1.36, height: 1.36, fill: "currentColor" }]],
  lock: [["rect", { x: -0.75, y: -0.15, width: 1.5, height: 1.1, rx: 0.2, fill: "currentColor" }], line("M-.45 -.2V-.45A.45 .45 0 0 1 .45 -.45V-.2", 0.26)],
  offline: [["circle", { r: 0.8, fill: "none", stroke: "currentColor", "stroke-width": 0.3 }], line("M-.55 .55 .55 -.55", 0.3)],
  question: [line("M-.414 -.429A.42 .4 0 1 1 .21 -.014L0 .3", 0.3), dot(0.76, 0.19, "currentColor")],
};

function element(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function fill(made, glyph) {
  made.append(...(GLYPHS[glyph] ?? GLYPHS.question).map((part) => element(...part)));
  return made;
}

// Add one symbol per shape, for `<use href="#mark-…">`.
export function putSymbols(into) {
  into.append(...Object.keys(GLYPHS).map((glyph) => fill(element("symbol", { viewBox: "-1.25 -1.25 2.5 2.5", id: `mark-${glyph}` }), glyph)));
}

// Show this shape; `svg` contains one `use` element, and its colour is that of the text around it.
export function show(svg, glyph) {
  const known = GLYPHS[glyph] ? glyph : "question";
  if (svg.dataset.shows === known) return;
  svg.dataset.shows = known;
  svg.firstElementChild.setAttribute("href", `#mark-${known}`);
}

// The tab's icon as a data URL.
export function picture(glyph, colour) {
  const svg = element("svg", { viewBox: "-1.75 -1.75 3.5 3.5", color: COLOURS[colour] ?? COLOURS.grey });
  svg.append(element("circle", { r: 1.75, fill: GROUND }));
  return `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(fill(svg, glyph)))}`;
}
