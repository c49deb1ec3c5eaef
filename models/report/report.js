// The report's page: reads what stands in the file itself, draws it, and lets a reader filter, sort and look closer.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const entries = data.entries.map((entry, index) => ({ ...entry, index, sought: entry.name.toLowerCase() }));
const known = entries.some((entry) => entry.fake !== undefined);
const has = { heat: false, mask: false, heatName: data.map_name };
const show = { heat: true, mask: true, box: true, opacity: 0.6 };
const view = { threshold: data.threshold, verdict: "all", split: "all", order: "falling", text: "", shown: 0, list: [] };
const pageSize = 60;

// ---- What a picture is called

/** real, fake, uncertain, or unread; at the file's own threshold the verdict is the program's. */
function called(entry) {
  if (entry.verdict === "uncertain" || entry.verdict === "unread" || view.threshold === data.threshold) return entry.verdict;
  return entry.probability >= view.threshold ? "fake" : "real";
}
/** found, missed, false alarm, cleared; null where the truth or the verdict is not known. */
function outcome(entry) {
  const verdict = called(entry);
  if (entry.fake === undefined || !["fake", "real"].includes(verdict)) return null;
  if (entry.fake) return verdict === "fake" ? "found" : "missed";
  return verdict === "fake" ? "false alarm" : "cleared";
}
const isWrong = (entry) => ["missed", "false alarm"].includes(outcome(entry));

const filters = {
  all: ["all", () => true],
  fake: ["called fake", (entry) => called(entry) === "fake"],
  real: ["called real", (entry) => called(entry) === "real"],
  uncertain: ["uncertain", (entry) => called(entry) === "uncertain"],
  unread: ["not read", (entry) => called(entry) === "unread"],
  wrong: ["wrong calls", isWrong],
  found: ["found fakes", (entry) => outcome(entry) === "found"],
  missed: ["missed fakes", (entry) => outcome(entry) === "missed"],
  alarm: ["false alarms", (entry) => outcome(entry) === "false alarm"],
  cleared: ["reals called real", (entry) => outcome(entry) === "cleared"],
};
const byName = new Intl.Collator();
const falling = (a, b) => b.probability - a.probability;
const orders = {
  falling: ["probability, falling", falling],
  rising: ["probability, rising", (a, b) => -falling(a, b)],
  worst: ["worst calls first", (a, b) => isWrong(b) - isWrong(a) || Math.abs(b.probability - view.threshold) - Math.abs(a.probability - view.threshold)],
  overlap: ["worst boxes first", (a, b) => (a.iou ?? 2) - (b.iou ?? 2)],
  name: ["name", (a, b) => byName.compare(a.name, b.name)],
};

// ---- One picture

const dataUrl = (type, text) => (text ? `data:image/${type};base64,${text}` : null);

function pictureOf(entry) {
  const verdict = called(entry);
  return layeredPicture({ ...entry, called: verdict === "fake" }, dataUrl("jpeg", entry.picture), dataUrl("png", entry.layers),
    `${entry.name}: ${verdict}, probability of a fake ${percent(entry.probability)}`);
}

function verdictLine(entry) {
  const verdict = called(entry), result = outcome(entry);
  if (verdict === "unread") return el("p", { class: "tag uncertain", text: "not read" });
  return el("div", {},
    result ? el("span", { class: "outcome" + (isWrong(entry) ? " wrong" : ""), text: result + (entry.iou !== undefined && result === "found" ? `, IoU ${entry.iou.toFixed(2)}` : "") }) : null,
    el("span", { class: "tag " + verdict, text: `${verdict} ` }), percent(entry.probability),
    probabilityBar(entry.probability));
}

/** Each card on the page, so that layers can be switched on all of them. */
let cards = [];
function card(entry, position) {
  const said = el("div", { class: "said" }, verdictLine(entry), el("p", { class: "name", text: entry.name }));
  if (!entry.picture) {
    const why = called(entry) === "unread" ? (entry.remarks || []).join("; ") : "no picture in this file";
    return el("article", { class: "card" }, el("div", { class: "no-picture", text: why }), said);
  }
  const picture = pictureOf(entry);
  picture.show(show);
  cards.push(picture);
  return el("article", { class: "card" },
    el("button", { type: "button", "aria-label": `Look closer at ${entry.name}`, onclick: () => openViewer(position) }, picture.element), said);
}

function showMore() {
  const next = view.list.slice(view.shown, view.shown + pageSize);
  at("grid").append(...next.map((entry, i) => card(entry, view.shown + i)));
  view.shown += next.length;
  const left = view.list.length - view.shown;
  at("more").hidden = left === 0;
  at("more").textContent = `Show ${Math.min(left, pageSize)} more of ${left}`;
}

function refresh() {
  view.list = entries.filter((entry) => filters[view.verdict][1](entry) && (view.split === "all" || entry.split === view.split) &&
    entry.sought.includes(view.text)).sort((a, b) => orders[view.order][1](a, b) || a.index - b.index);
  view.shown = 0;
  cards = [];
  at("grid").replaceChildren();
  const omitted = data.omitted ? ` ${data.omitted} of all are listed without their picture, to keep this file small.` : "";
  at("count").textContent = `${view.list.length} of ${entries.length} pictures.${omitted}`;
  showMore();
}

// ---- Looking closer

/** `came`: 1 or −1 where a reader comes from the picture before or behind; the focus then stays on that button. */
function openViewer(position, came = 1) {
  const entry = view.list[position], viewer = at("viewer");
  const step = (by) => { const to = position + by; if (to >= 0 && to < view.list.length && view.list[to].picture) openViewer(to, by); };
  const button = (text, action, disabled) => el("button", { type: "button", onclick: action, disabled, text });
  const picture = pictureOf(entry);
  picture.element.style.setProperty("--ratio", entry.width / entry.height);
  const facts = [["size", `${entry.width} × ${entry.height} pixels`], ["split", entry.split], ["is", entry.fake === undefined ? null : entry.fake ? "fake" : "real"],
    ["box said", entry.box && called(entry) === "fake" ? entry.box.join(", ") : null], ["box painted", entry.truth ? entry.truth.join(", ") : null],
    ["IoU", entry.iou === undefined ? null : entry.iou.toFixed(3)], ["remarks", entry.remarks ? entry.remarks.join("; ") : null]];
  viewer.replaceChildren(
    el("div", { class: "row" }, el("h3", { id: "viewer-title", text: entry.name }),
      el("span", {}, button("Previous", () => step(-1), position === 0), " ", button("Next", () => step(1), position + 1 === view.list.length), " ", button("Close", () => viewer.close()))),
    el("div", { class: "row" }, layerControls(has, show, (now) => picture.show(now))),
    el("div", { class: "stage" }, picture.element), verdictLine(entry), factList(facts));
  picture.show(show);
  viewer.onkeydown = (event) => {
    if (event.target.tagName === "INPUT") return;
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
  };
  if (!viewer.open) viewer.showModal();
  const [previous, next, close] = viewer.querySelectorAll(".row button");
  const wanted = came < 0 ? previous : next;
  (wanted.disabled ? close : wanted).focus();
}

function factList(facts) {
  return el("dl", {}, ...facts.filter(([, value]) => value !== null && value !== undefined && value !== "")
    .flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: String(value) })]));
}

// ---- Controls

const thresholdInputs = [], onThreshold = [];
function thresholdControl() {
  const output = el("output", { text: view.threshold.toFixed(3) });
  const slider = el("input", { type: "range", min: 0, max: 1, step: 0.005, value: view.threshold, name: "threshold", oninput: (event) => setThreshold(Number(event.target.value)) });
  thresholdInputs.push([slider, output]);
  const reset = el("button", { type: "button", text: "reset", onclick: () => setThreshold(data.threshold) });
  return el("div", {}, el("label", {}, "Called fake from a probability of ", slider, " "), output, " ", reset);
}
function setThreshold(value) {
  view.threshold = value;
  for (const [slider, output] of thresholdInputs) [slider.value, output.textContent] = [value, value.toFixed(3)];
  for (const changed of onThreshold) changed();
  refresh();
}

/** Goes to the pictures, filtered. */
function goTo(verdict, order) {
  [view.verdict, view.order] = [verdict, order];
  at("tools").elements.verdict.value = verdict;
  at("tools").elements.order.value = order;
  refresh();
  at("pictures").scrollIntoView();
  at("pictures").focus({ preventScroll: true });
}

function choice(name, label, options, changed) {
  return el("label", { class: "field" }, label, el("select", { name, onchange: (event) => { changed(event.target.value); refresh(); } },
    ...options.map(([value, text]) => el("option", { value, text }))));
}

function buildTools() {
  const splits = [...new Set(entries.map((entry) => entry.split).filter(Boolean))];
  const usable = Object.entries(filters).filter(([key, [, test]]) => key === "all" || key === "fake" || key === "real" || (known && ["wrong", "found", "missed", "alarm", "cleared"].includes(key)) || entries.some(test));
  const sorts = Object.entries(orders).filter(([key]) => known || !["worst", "overlap"].includes(key));
  at("tools").append(...[
    choice("verdict", "Show", usable.map(([key, [text]]) => [key, text]), (value) => (view.verdict = value)),
    splits.length > 1 ? choice("split", "Split", [["all", "all"], ...splits.map((s) => [s, s])], (value) => (view.split = value)) : null,
    choice("order", "Order", sorts.map(([key, [text]]) => [key, text]), (value) => (view.order = value)),
    el("label", { class: "field" }, "Name holds", el("input", { type: "search", name: "text", oninput: (event) => { view.text = event.target.value.toLowerCase(); refresh(); } })),
    layerControls(has, show, (now) => cards.forEach((picture) => picture.show(now))),
    known ? null : thresholdControl(),
  ].filter(Boolean));
  at("tools").addEventListener("submit", (event) => event.preventDefault());
}

// ---- Measures and curves

function buildConfusion() {
  const cell = (verdict, order) => {
    const button = el("button", { type: "button", onclick: () => goTo(verdict, order) });
    return { button, fill: (count, of, text) => button.replaceChildren(String(count), el("small", { text: `${text}, ${of ? percent(count / of) : "n/a"}` })) };
  };
  const cells = { found: cell("found", "falling"), missed: cell("missed", "rising"), "false alarm": cell("alarm", "falling"), cleared: cell("cleared", "rising") };
  const line = el("p", { role: "status" });
  const fill = () => {
    const counts = { found: 0, missed: 0, "false alarm": 0, cleared: 0 };
    for (const entry of entries) if (outcome(entry)) ++counts[outcome(entry)];
    const fakes = counts.found + counts.missed, reals = counts.cleared + counts["false alarm"], alarms = counts["false alarm"];
    cells.found.fill(counts.found, fakes, "found");
    cells.missed.fill(counts.missed, fakes, "missed");
    cells["false alarm"].fill(alarms, reals, "false alarms");
    cells.cleared.fill(counts.cleared, reals, "called real");
    const ratio = (part, whole) => (whole ? (part / whole).toFixed(4) : "n/a");
    line.textContent = `Precision ${ratio(counts.found, counts.found + alarms)}, recall ${ratio(counts.found, fakes)}, F1 ${ratio(2 * counts.found, 2 * counts.found + alarms + counts.missed)}, accuracy ${ratio(counts.found + counts.cleared, fakes + reals)}.`;
  };
  const row = (name, ...buttons) => el("tr", {}, el("th", { scope: "row", text: name }), ...buttons.map((b) => el("td", {}, b.button)));
  at("confusion").append(el("h3", { text: "Calls" }), thresholdControl(),
    el("table", { class: "matrix" }, el("thead", {}, el("tr", {}, el("td"), el("th", { scope: "col", text: "called real" }), el("th", { scope: "col", text: "called fake" }))),
      el("tbody", {}, row("is real", cells.cleared, cells["false alarm"]), row("is fake", cells.missed, cells.found))),
    line, el("p", { class: "faint", text: "A cell leads to its pictures, the worst first." }));
  onThreshold.push(fill);
  fill();
}

function buildMeasures() {
  if (data.measures.length === 0) return;
  at("measures").hidden = false;
  at("measure-table").append(el("table", {}, el("tbody", {}, ...data.measures.map(([name, value, remark]) =>
    el("tr", {}, el("th", { scope: "row", text: name }), el("td", { class: "number", text: value === null ? "n/a" : value.toFixed(4) }), el("td", { class: "faint", text: remark }))))));
  if (known) buildConfusion();
}

function buildCurves() {
  const c = data.curves;
  if (c.roc) {
    const roc = curveChart("ROC", `area ${c.auc.toFixed(4)}`, c.roc, ["false positive rate", "true positive rate"], true);
    const pr = curveChart("Precision–recall", `average precision ${c.average_precision.toFixed(4)}`, c.precision_recall, ["recall", "precision"], false);
    at("charts").append(roc.element, pr.element, reliabilityChart(c.reliability, c.calibration_error),
      histogram("Box overlap", "of all fakes, whatever they were called", c.overlaps, "IoU"));
    const mark = () => [roc, pr].forEach((chart) => chart.mark(view.threshold));
    onThreshold.push(mark);
    mark();
  } else if (entries.length > 1) {
    const counts = Array(10).fill(0);
    for (const entry of entries) if (called(entry) !== "unread") ++counts[Math.min(9, Math.floor(10 * entry.probability))];
    at("charts").append(histogram("Probabilities", "of a fake, as they were said", counts, "probability"));
  }
  at("charts").append(...(data.lines || []).map(lineChart));
  at("curves").hidden = at("charts").childElementCount === 0;
  at("panels").append(...(data.panels || []).map(intervalChart));
  if (data.panels && data.panels.length > 0) at("panels").before(seriesLegend(data.panels[0].series.map((s) => s.name)));
  at("robustness").hidden = !data.panels || data.panels.length === 0;
}

/** One sheet at a time, the last at first. */
function buildSamples() {
  const sheets = data.sheets || [], name = el("output");
  if (sheets.length === 0) return;
  const sheet = el("img", { id: "sheet", class: "sheet" });
  const turnTo = (i) => {
    name.textContent = sheets[i].name;
    sheet.src = dataUrl("jpeg", sheets[i].picture);
    sheet.alt = `${sheets[i].name}: ${sheets[i].shows}`;
  };
  const slider = el("input", { type: "range", name: "sheet", min: 0, max: sheets.length - 1, value: sheets.length - 1, oninput: (event) => turnTo(Number(event.target.value)) });
  at("sheet-tools").append(el("label", {}, "after ", slider, " ", name));
  turnTo(sheets.length - 1);
  at("samples").append(sheet);
  at("samples").hidden = false;
}

function buildFacts() {
  at("title").textContent = document.title = data.title;
  const count = (verdict) => entries.filter((entry) => called(entry) === verdict).length;
  const parts = [["fake", "called fake"], ["real", "called real"], ["uncertain", "uncertain"], ["unread", "not read"]];
  at("summary").textContent = entries.length === 0 ? data.summary : `${entries.length} pictures: ` + parts.map(([key, text]) => [count(key), text]).filter(([n]) => n > 0).map(([n, text]) => `${n} ${text}`).join(", ") + `. Thumbnails are at most ${data.side} pixels a side.`;
  at("command").textContent = data.command;
  for (const [name, facts] of Object.entries(data.facts)) at("cards").append(el("div", {}, el("h3", { text: name }), factList(Object.entries(facts))));
}

for (const entry of entries) {
  has.heat = has.heat || Boolean(entry.layers && entry.heat);
  has.mask = has.mask || Boolean(entry.layers && entry.mask);
}
buildFacts();
buildMeasures();
buildCurves();
buildSamples();
at("pictures").hidden = document.querySelector(".skip").hidden = entries.length === 0 && Boolean(data.summary);
buildTools();
at("more").addEventListener("click", showMore);
new IntersectionObserver((seen) => { if (seen[0].isIntersecting && !at("more").hidden) showMore(); }, { rootMargin: "600px" }).observe(at("more"));
refresh();
