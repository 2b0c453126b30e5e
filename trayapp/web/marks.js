// The shapes of the tray icon as SVG: symbols for the cards and an image for the tab.
//
// The numbers are those of the tray's drawing (tray/art.py), for a glyph of radius 1 around the centre. Each is drawn on
// the icon's own dark background, on which every colour of the palette is visible, on light pages and dark ones.

export const COLOURS = { green: "#2e9e5b", amber: "#f5a623", red: "#e45a4c", blue: "#3b82d0", grey: "#8a8f98" };
const GROUND = "#14161a";
const SVG = "http://www.w3.org/2000/svg";
const line = (d, width, stroke = "currentColor") => ["path", { d, stroke, "stroke-width": width, fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" }];
const solid = (d) => ["path", { d, fill: "currentColor", stroke: "currentColor", "stroke-width": 0.2, "stroke-linejoin": "round" }];
const dot = (cy, r, fill) => ["circle", { cx: 0, cy, r, fill }];

const GLYPHS = {
  tick: [dot(0, 1, "currentColor"), line("M-.52 .06 -.13 .46 .56 -.38", 0.3, "#fff")],
  retry: [
    ["path", { d: "M.75 0A.75 .75 0 1 1 -.104 -.743", stroke: "currentColor", "stroke-width": 0.4, fill: "none" }],
    ["path", { d: "M-.16 -1.14 .56 -.64 -.16 -.28Z", fill: "currentColor" }],
  ],
  warning: [solid("M0 -.92 .98 .72 -.98 .72Z"), line("M0 -.42V.14", 0.28, "#fff"), dot(0.53, 0.17, "#fff")],
  cross: [dot(0, 1, "currentColor"), line("M-.48 -.48 .48 .48M-.48 .48 .48 -.48", 0.33, "#fff")],
  open: [["circle", { r: 0.8, fill: "none", stroke: "currentColor", "stroke-width": 0.36 }]],
  square: [["rect", { x: -0.68, y: -0.68, width: 1.36, height: 1.36, fill: "currentColor" }]],
  question: [line("M-.414 -.429A.42 .4 0 1 1 .21 -.014L0 .3", 0.3), dot(0.76, 0.19, "currentColor")],
};

function element(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function drawing(tag, glyph, attributes) {
  const made = element(tag, { viewBox: "-1.75 -1.75 3.5 3.5", ...attributes });
  made.append(element("circle", { r: 1.75, fill: GROUND }), ...(GLYPHS[glyph] ?? GLYPHS.question).map((part) => element(...part)));
  return made;
}

// Add one symbol per shape, for `<use href="#mark-…">`.
export function putSymbols(into) {
  into.append(...Object.keys(GLYPHS).map((glyph) => drawing("symbol", glyph, { id: `mark-${glyph}` })));
}

// Show this shape in this colour; `svg` contains one `use` element.
export function show(svg, glyph, colour) {
  const known = GLYPHS[glyph] ? glyph : "question";
  if (svg.dataset.shows === `${known} ${colour}`) return;
  svg.dataset.shows = `${known} ${colour}`;
  svg.firstElementChild.setAttribute("href", `#mark-${known}`);
  svg.style.color = COLOURS[colour] ?? COLOURS.grey;
}

// The tab's icon as a data URL.
export function picture(glyph, colour) {
  const svg = drawing("svg", glyph, { color: COLOURS[colour] ?? COLOURS.grey });
  return `data:image/svg+xml,${encodeURIComponent(new XMLSerializer().serializeToString(svg))}`;
}
