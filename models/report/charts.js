// Small charts in SVG. Each is a figure with a caption, and its numbers as a table for those who cannot see it.
"use strict";

const chartSize = { width: 320, height: 250, left: 48, right: 8, top: 8, bottom: 36 };

/** Axes over [low, high] each; returns {svg, x(v), y(v)}. */
function axes(description, xAxis, yAxis) {
  const { width, height, left, right, top, bottom } = chartSize;
  const x = (v) => left + ((v - xAxis.low) / (xAxis.high - xAxis.low)) * (width - left - right);
  const y = (v) => height - bottom - ((v - yAxis.low) / (yAxis.high - yAxis.low)) * (height - top - bottom);
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description });
  for (const tick of yAxis.ticks) {
    drawing.append(svg("line", { class: "rule", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
      svg("text", { x: left - 5, y: y(tick) + 4, "text-anchor": "end", text: short(tick) }));
  }
  xAxis.ticks.forEach((tick, i) => {
    drawing.append(svg("line", { class: "rule", y1: top, y2: height - bottom, x1: x(tick), x2: x(tick) }),
      svg("text", { x: x(tick), y: height - bottom + 14, "text-anchor": "middle", text: (xAxis.names || [])[i] ?? short(tick) }));
  });
  drawing.append(svg("rect", { class: "frame", x: left, y: top, width: width - left - right, height: height - top - bottom }),
    svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle", text: xAxis.name }),
    svg("text", { transform: `translate(10 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle", text: yAxis.name }));
  return { drawing, x, y };
}
const unit = (name) => ({ name, low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1] });
function short(value) {
  if (value !== 0 && Math.abs(value) < 0.01) return String(Number(value.toPrecision(2)));
  return value >= 1000 ? (value / 1000).toFixed(value % 1000 ? 1 : 0) + "k" : String(Math.round(value * 100) / 100);
}

function figure(title, remark, drawing, table) {
  return el("figure", {}, el("figcaption", {}, title + " ", el("span", { text: remark })), drawing,
    table ? el("details", {}, el("summary", { text: "Numbers" }), table) : null);
}
function numberTable(header, rows) {
  return el("table", {}, el("thead", {}, el("tr", {}, ...header.map((text) => el("th", { scope: "col", text })))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map((text) => el("td", { text }))))));
}
const path = (points, x, y) => points.map((p, i) => `${i ? "L" : "M"}${x(p[0]).toFixed(2)} ${y(p[1]).toFixed(2)}`).join("");

/**
 * A curve of [x, y, threshold] over the unit square; `mark(threshold)` moves a dot to the last point that calls fake.
 * Returns {element, mark}.
 */
function curveChart(title, remark, points, names, diagonal) {
  const { drawing, x, y } = axes(`${title}, ${remark}`, unit(names[0]), unit(names[1]));
  if (diagonal) drawing.append(svg("line", { class: "diagonal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }));
  const dot = svg("circle", { class: "now", r: 5 });
  drawing.append(svg("path", { class: "series", d: path(points, x, y) }), dot);
  const mark = (threshold) => {
    let at = points[0];
    for (const point of points) if (point[2] !== null && point[2] >= threshold) at = point;
    dot.setAttribute("cx", x(at[0]));
    dot.setAttribute("cy", y(at[1]));
  };
  const some = points.filter((_, i) => i % Math.ceil(points.length / 20) === 0);
  return { element: figure(title, remark, drawing, numberTable([...names, "threshold"], some.map((p) => p.map((v) => (v === null ? "" : v.toFixed(4)))))), mark };
}

/** How often pictures of a probability were fake, and how many there were. */
function reliabilityChart(bins, error) {
  const remark = `calibration error ${error.toFixed(4)}`;
  const { drawing, x, y } = axes(`Reliability, ${remark}`, unit("probability said"), unit("share that was fake"));
  const most = Math.max(...bins.map((b) => b.count), 1);
  for (const b of bins) {
    const height = (y(0) - y(1)) * 0.25 * (b.count / most);
    drawing.append(svg("rect", { class: "band", x: x(b.low) + 1, width: x(b.high) - x(b.low) - 2, y: y(0) - height, height }));
  }
  const full = bins.filter((b) => b.count > 0);
  drawing.append(svg("line", { class: "diagonal", x1: x(0), y1: y(0), x2: x(1), y2: y(1) }),
    svg("path", { class: "series", d: path(full.map((b) => [b.probability, b.fake]), x, y) }),
    ...full.map((b) => svg("circle", { class: "dot", r: 4, cx: x(b.probability), cy: y(b.fake) })));
  return figure("Reliability", remark, drawing, numberTable(["probability", "said, mean", "was fake", "pictures"],
    bins.map((b) => [`${short(b.low)}–${short(b.high)}`, b.count ? b.probability.toFixed(3) : "", b.count ? b.fake.toFixed(3) : "", b.count])));
}

/** Counts over equal parts of [0, 1]. */
function histogram(title, remark, counts, name) {
  const most = Math.max(...counts, 1), step = Math.max(1, 10 ** Math.floor(Math.log10(most)));
  const unitStep = most / step > 5 ? 2 * step : most / step < 2 ? step / 2 : step;
  const ticks = [];
  for (let t = 0; t <= most; t += Math.max(1, unitStep)) ticks.push(t);
  const { drawing, x, y } = axes(`${title}, ${remark}`, unit(name), { name: "pictures", low: 0, high: most, ticks });
  counts.forEach((count, i) => {
    const left = x(i / counts.length), right = x((i + 1) / counts.length);
    drawing.append(svg("rect", { class: "bar-fill", x: left + 1, width: right - left - 2, y: y(count), height: y(0) - y(count) }));
  });
  return figure(title, remark, drawing, numberTable([name, "pictures"],
    counts.map((count, i) => [`${short(i / counts.length)}–${short((i + 1) / counts.length)}`, count])));
}

/** Values with intervals against strength, evenly spaced: panel = {title, at: [text], series: [{name, values: [[value, low, high]]}]}. */
function intervalChart(panel) {
  const last = Math.max(1, panel.at.length - 1);
  const { drawing, x, y } = axes(`Against ${panel.title}: ${panel.series.map((s) => s.name).join(", ")}`,
    { name: panel.title, low: -0.3, high: last + 0.3, ticks: panel.at.map((_, i) => i), names: panel.at }, unit(""));
  panel.series.forEach((series, k) => {
    // Side by side, so that intervals do not hide each other.
    const points = series.values.map(([value, low, high], i) => ({ value, low, high, at: i + (k - 1.5) * 0.05 })).filter((p) => p.value !== null);
    drawing.append(svg("path", { class: `series colour-${k}`, d: path(points.map((p) => [p.at, p.value]), x, y) }),
      ...points.flatMap((p) => [svg("line", { class: `whisker colour-${k}`, x1: x(p.at), x2: x(p.at), y1: y(p.low), y2: y(p.high) }),
        svg("circle", { class: `dot colour-${k}`, r: 3, cx: x(p.at), cy: y(p.value) })]));
  });
  const rows = panel.at.map((at, i) => [at, ...panel.series.map((s) => (s.values[i][0] === null ? "n/a" : `${s.values[i][0].toFixed(3)} [${s.values[i][1].toFixed(3)}, ${s.values[i][2].toFixed(3)}]`))]);
  return figure(panel.title, "", drawing, numberTable([panel.title, ...panel.series.map((s) => s.name)], rows));
}
/** Round numbers that span [low, high], about five of them. */
function roundTicks(low, high) {
  const rough = (high - low || Math.abs(high) || 1) / 4, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((s) => s * power >= rough) * power;
  const ticks = [];
  for (let k = Math.floor(low / step); ticks.length < 2 || (k - 1) * step < high; ++k) ticks.push(Number((k * step).toPrecision(12)));
  return ticks;
}
/** Lines over numbers: chart = {title, axis, at: [number], series: [{name, values: [number or null]}]}. */
function lineChart(chart) {
  const all = chart.series.flatMap((s) => s.values).filter((v) => v !== null);
  const across = roundTicks(Math.min(...chart.at), Math.max(...chart.at)), up = all.length ? roundTicks(Math.min(...all), Math.max(...all)) : [0, 1];
  const names = chart.series.map((s) => s.name).filter(Boolean);
  const { drawing, x, y } = axes(`${chart.title} by ${chart.axis}`,
    { name: chart.axis, low: across[0], high: across.at(-1), ticks: across }, { name: "", low: up[0], high: up.at(-1), ticks: up });
  chart.series.forEach((series, k) => {
    const points = chart.at.map((at, i) => [at, series.values[i]]).filter((p) => p[1] !== null);
    drawing.append(svg("path", { class: `series colour-${k}`, d: path(points, x, y) }), ...points.length > 40 ? [] :
      points.map((p) => svg("circle", { class: `dot colour-${k}`, r: 2.5, cx: x(p[0]), cy: y(p[1]) })));
  });
  const drawn = figure(chart.title, "", drawing, numberTable([chart.axis, ...chart.series.map((s) => s.name || chart.title)],
    chart.at.map((at, i) => [at, ...chart.series.map((s) => (s.values[i] === null ? "n/a" : String(Number(s.values[i].toPrecision(5)))))])));
  if (names.length > 1) drawn.firstChild.append(seriesLegend(names));
  return drawn;
}
/** Which colour is which series. */
function seriesLegend(names) {
  return el("p", {}, ...names.map((name, k) => el("span", { class: "series-name" }, svg("svg", { viewBox: "0 0 20 10", width: 20, height: 10, "aria-hidden": "true" },
    svg("line", { class: `series colour-${k}`, x1: 0, x2: 20, y1: 5, y2: 5 })), ` ${name} `)));
}
