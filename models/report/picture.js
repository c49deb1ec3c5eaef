// A picture with what was said of it laid over: heat map, mask and boxes. Shared by reports and the served page.
"use strict";

/** An element: el("p", {class: "faint", text: "…", onclick: f}, child, …). Text never becomes markup. */
function el(tag, attributes = {}, ...children) {
  return furnished(document.createElement(tag), attributes, children);
}
/** The same of SVG. */
function svg(tag, attributes = {}, ...children) {
  return furnished(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}
function furnished(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** 97.3 %; what is nearly 0 or 1 does not read as if it were. */
function percent(share) {
  const digits = share > 0.99 || share < 0.01 ? 2 : 1;
  return (100 * share).toFixed(digits) + " %";
}

// Dark violet over red to pale yellow: rises in lightness, so that it reads without colour, too.
const heatStops = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10], [252, 255, 164]];
function heatColour(value) {
  const at = Math.min(Math.max(value, 0), 1) * (heatStops.length - 1);
  const low = Math.min(Math.floor(at), heatStops.length - 2);
  return heatStops[low].map((c, i) => Math.round(c + (heatStops[low + 1][i] - c) * (at - low)));
}
const heatTable = Array.from({ length: 256 }, (_, i) => heatColour(i / 255));

/** A bar that is as full as a probability. */
function probabilityBar(probability) {
  const full = el("i");
  full.style.width = `${100 * probability}%`;
  return el("div", { class: "bar", "aria-hidden": "true" }, full);
}

/** A strip that shows which colour is which probability. */
function heatLegend() {
  const stops = heatStops.map((c, i) => `rgb(${c}) ${(100 * i) / (heatStops.length - 1)}%`);
  const strip = el("span", { class: "legend", role: "img", "aria-label": "colours of the heat map, from 0 to 1" });
  strip.style.background = `linear-gradient(to right, ${stops})`;
  return el("span", { class: "faint" }, "0 ", strip, " 1");
}

/** Paints the map (red of layers) as heat; what is unlikely stays clear, so that the picture shows. */
function paintHeat(canvas, layers, opacity) {
  const context = canvas.getContext("2d");
  [canvas.width, canvas.height] = [layers.width, layers.height];
  const painted = context.createImageData(layers.width, layers.height);
  for (let i = 0; i < painted.data.length; i += 4) {
    const probability = layers.data[i], colour = heatTable[probability];
    for (let c = 0; c < 3; ++c) painted.data[i + c] = colour[c];
    painted.data[i + 3] = 255 * opacity * Math.min(1, Math.max(0, (probability - 50) / 130));
  }
  context.putImageData(painted, 0, 0);
}

/** The border of the mask (green of layers) as an SVG path, in pixels of the layers. */
function maskBorder(layers) {
  const inside = (x, y) => x >= 0 && y >= 0 && x < layers.width && y < layers.height && layers.data[4 * (y * layers.width + x) + 1] > 127;
  // Along each line between two rows (or columns), runs of pixels that differ across it.
  const runs = (lines, length, differs, draw) => {
    let path = "";
    for (let line = 0; line <= lines; ++line)
      for (let at = 0, begin = -1; at <= length; ++at) {
        const edge = at < length && differs(line, at);
        if (edge && begin < 0) begin = at;
        if (!edge && begin >= 0) [path, begin] = [path + draw(line, begin, at - begin), -1];
      }
    return path;
  };
  return runs(layers.height, layers.width, (y, x) => inside(x, y) !== inside(x, y - 1), (y, x, n) => `M${x} ${y}h${n}`) +
    runs(layers.width, layers.height, (x, y) => inside(x, y) !== inside(x - 1, y), (x, y, n) => `M${x} ${y}v${n}`);
}

function rectangles(box, kind) {
  const [x, y, right, bottom] = box;
  const place = { x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y) };
  return [svg("rect", { class: "halo", ...place }), svg("rect", { class: kind, ...place })];
}

/**
 * A picture and its layers. said: {width, height, box, truth, called}, box and truth in its pixels, or null; `called`: whether the
 * box counts. image and layers are URLs; layers may be null. Returns {element, show(options)}.
 */
function layeredPicture(said, image, layers, description) {
  const photo = el("img", { src: image, alt: description, width: said.width, height: said.height, decoding: "async" });
  const canvas = el("canvas", { "aria-hidden": "true" });
  const boxes = svg("svg", { viewBox: `0 0 ${said.width} ${said.height}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  const element = el("div", { class: "layered" }, photo, canvas, boxes);
  let pixels = null, wanted = null;
  const draw = () => {
    boxes.replaceChildren();
    canvas.hidden = !pixels || !wanted.heat;
    if (!canvas.hidden) paintHeat(canvas, pixels, wanted.opacity);
    if (pixels && wanted.mask) {
      const transform = `scale(${said.width / pixels.width} ${said.height / pixels.height})`;
      boxes.append(svg("path", { class: "painted", transform, d: maskBorder(pixels) }));
    }
    if (!wanted.box) return;
    if (said.truth) boxes.append(...rectangles(said.truth, "truth"));
    if (said.box && said.called) boxes.append(...rectangles(said.box, "called"));
  };
  if (layers) {
    const source = new Image();
    source.onload = () => {
      const scratch = el("canvas", { width: source.naturalWidth, height: source.naturalHeight });
      const context = scratch.getContext("2d", { willReadFrequently: true });
      context.drawImage(source, 0, 0);
      pixels = context.getImageData(0, 0, scratch.width, scratch.height);
      if (wanted) draw();
      element.dataset.layers = "drawn";
    };
    source.src = layers;
  }
  const show = (options) => {
    wanted = { ...options };
    draw();
  };
  return { element, show };
}

/** Check boxes and a slider for what lies over pictures; calls changed(show) at once and at every change. */
function layerControls(has, show, changed) {
  const box = (name, text) =>
    el("label", {}, el("input", { type: "checkbox", name, checked: show[name], onchange: (event) => { show[name] = event.target.checked; changed(show); } }), " " + text);
  const slider = el("input", { type: "range", name: "opacity", min: 0, max: 1, step: 0.05, value: show.opacity,
    oninput: (event) => { show.opacity = Number(event.target.value); changed(show); } });
  return el("fieldset", { class: "layers" }, el("legend", { class: "hidden-text", text: "What lies over the pictures" }),
    has.heat ? box("heat", has.heatName || "heat map") : null,
    has.mask ? box("mask", "painted region") : null,
    box("box", "boxes"),
    has.heat ? el("label", {}, "opacity ", slider) : null,
    has.heat ? heatLegend() : null);
}
