// The served page: sends pictures, shows what was said of them, saves it.
"use strict";

const at = (id) => document.getElementById(id);
// The token stands behind the #, which browsers do not send; kept for this tab alone.
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const headers = token ? { Authorization: `Bearer ${token}` } : {};
const show = { heat: true, mask: false, box: true, opacity: 0.6 };
const results = [];  // {file, url, said, picture}
let waiting = [], busy = 0, done = 0, total = 0, model = null;
const atOnce = 2;
const thumbnailSide = 320;

// ---- Asking

function add(files) {
  const pictures = [...files].filter((file) => file.type.startsWith("image/") || /\.(jpe?g|png|webp|gif|bmp)$/i.test(file.name));
  total += pictures.length;
  waiting.push(...pictures);
  if (pictures.length === 0 && files.length > 0) at("progress").textContent = "There is no picture among these.";
  while (busy < atOnce && waiting.length > 0) next();
}

async function next() {
  const file = waiting.shift();
  ++busy;
  report();
  let said;
  try {
    said = await ask(file);
  } catch (error) {
    said = { name: file.name, error: `no answer from the program: ${error.message}` };
  }
  --busy;
  ++done;
  place(file, said);
  report();
  if (waiting.length > 0) next();
}

/** A refused picture is tried again while the program is busy. */
async function ask(file) {
  for (let attempt = 1; ; ++attempt) {
    const answer = await fetch(`v1/inspect?layers=1&name=${encodeURIComponent(file.name)}`, { method: "POST", body: file, headers });
    const said = answer.status === 503 && !answer.headers.get("Content-Type") ? { error: "busy" } : await answer.json();
    if (answer.status !== 503 || attempt === 10) return { name: file.name, ...said };
    await new Promise((wake) => setTimeout(wake, 1000 * attempt));
  }
}

function report() {
  at("progress").textContent = total === 0 ? "" : busy + waiting.length === 0 ? `All ${total} pictures were looked at.` : `${done} of ${total} pictures were looked at …`;
}

// ---- Showing

function inWords(said) {
  if (said.verdict === "uncertain") return "No answer can be given.";
  const words = said.fake_probability > 0.95 ? "Almost surely" : said.fake_probability > 0.75 ? "Probably" : said.fake_probability > 0.5 ? "Rather likely" :
    said.fake_probability > 0.25 ? "Rather not" : said.fake_probability > 0.05 ? "Probably not" : "Almost surely not";
  return `${words} painted in part.`;
}

function verdict(said) {
  if (said.error) return el("p", { class: "error", text: said.error });
  const notes = [...(said.why || []), ...(said.notes || []), ...(said.remarks || [])];
  return el("div", {},
    el("p", {}, el("span", { class: "tag " + said.verdict, text: said.verdict }), " ", percent(said.fake_probability)), probabilityBar(said.fake_probability),
    el("p", {}, inWords(said), said.meaning ? ` Of all it was measured on: ${said.meaning}.` : ""),
    notes.length > 0 ? el("ul", {}, ...notes.map((text) => el("li", { text }))) : null);
}

function pictureOf(result) {
  const said = result.said;
  return layeredPicture({ width: said.width, height: said.height, box: said.box, truth: null, called: said.verdict === "fake" }, result.url,
    said.layers ? `data:image/png;base64,${said.layers}` : null, `${said.name}: ${said.verdict}, probability of a fake ${percent(said.fake_probability)}`);
}

function place(file, said) {
  const result = { file, said, url: said.error ? null : URL.createObjectURL(file), picture: null };
  const index = results.push(result) - 1;
  const text = el("div", { class: "said" }, verdict(said), el("p", { class: "name", text: said.name }));
  if (said.error) {
    at("grid").prepend(el("article", { class: "card" }, el("div", { class: "no-picture", text: "not looked at" }), text));
    return;
  }
  result.picture = pictureOf(result);
  result.picture.show(show);
  at("grid").prepend(el("article", { class: "card" },
    el("button", { type: "button", "aria-label": `Look closer at ${said.name}`, onclick: () => openViewer(index) }, result.picture.element), text));
  at("save").hidden = false;
}

function openViewer(index) {
  const result = results[index], viewer = at("viewer");
  const picture = pictureOf(result);
  picture.element.style.setProperty("--ratio", result.said.width / result.said.height);
  const stage = el("div", { class: "stage", tabindex: 0, "aria-label": "The picture; scrolls when enlarged" }, picture.element);
  const zoom = el("input", { type: "range", name: "zoom", min: 1, max: 8, step: 0.5, value: 1, oninput: (event) => {
    const scale = Number(event.target.value);
    picture.element.style.width = scale === 1 ? "" : `${100 * scale}%`;
  } });
  const regions = (result.said.regions || []).map((r) => el("li", { text: `${r.box.join(", ")}: ${r.area} pixels, ${percent(r.probability)}` }));
  viewer.replaceChildren(
    el("div", { class: "row" }, el("h3", { id: "viewer-title", text: result.said.name }), el("button", { type: "button", text: "Close", onclick: () => viewer.close() })),
    el("div", { class: "row" }, layerControls({ heat: Boolean(result.said.layers), mask: false }, show, (now) => picture.show(now)), el("label", {}, "zoom ", zoom)),
    stage, verdict(result.said),
    regions.length > 0 ? el("details", {}, el("summary", { text: "Regions: left, top, right, bottom" }), el("ul", {}, ...regions)) : "");
  picture.show(show);
  viewer.showModal();
}

// ---- Saving

function save(name, type, text) {
  const link = el("a", { download: name, href: URL.createObjectURL(new Blob([text], { type })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** A small JPEG of a picture, in base64. */
async function thumbnail(url) {
  const photo = new Image();
  photo.src = url;
  await photo.decode();
  const scale = Math.min(1, thumbnailSide / Math.max(photo.naturalWidth, photo.naturalHeight));
  const canvas = el("canvas", { width: Math.max(1, Math.round(scale * photo.naturalWidth)), height: Math.max(1, Math.round(scale * photo.naturalHeight)) });
  canvas.getContext("2d").drawImage(photo, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/jpeg", 0.85).split(",")[1];
}

async function entryOf({ said, url }) {
  const remarks = [...(said.why || []), ...(said.notes || []), ...(said.remarks || []), ...(said.meaning ? [said.meaning] : [])];
  if (said.error) return { name: said.name, width: 0, height: 0, probability: 0, verdict: "unread", remarks: [said.error] };
  return { name: said.name, width: said.width, height: said.height, probability: said.fake_probability, verdict: said.verdict, box: said.box ?? undefined,
    remarks, picture: await thumbnail(url), layers: said.layers, heat: Boolean(said.layers) };
}

/** The same page that eval and infer write, filled here. */
async function saveReport() {
  const text = (name) => fetch(name).then((answer) => answer.text());
  const [page, style, ...scripts] = await Promise.all(["report.html", "look.css", "picture.js", "charts.js", "report.js"].map(text));
  const facts = { Weights: Object.fromEntries(Object.entries(model.weights).map(([name, value]) => [name, String(value)])) };
  const data = { title: "What serve said", command: `${location.origin}, ${new Date().toISOString()}`, threshold: model.threshold, facts, measures: [], side: thumbnailSide,
    omitted: 0, curves: {}, panels: null, entries: await Promise.all(results.map(entryOf)) };
  const fill = { STYLE: style, PICTURE: scripts[0], CHARTS: scripts[1], PAGE: scripts[2], DATA: JSON.stringify(data).replaceAll("<", "\\u003c") };
  save("telltale-report.html", "text/html", page.replace(/\/\*([A-Z]+)\*\//g, (mark, name) => fill[name] ?? mark));
}

// ---- Beginning

async function begin() {
  const answer = await fetch("v1/model", { headers });
  model = await answer.json();
  at("model").textContent = answer.ok ? `A ${model.kind} answers (${model.net}, weights ${model.weights["SHA-256"].slice(0, 12)}). It calls fake from a probability of ${percent(model.threshold)}.` : model.error;
  at("tools").append(layerControls({ heat: model.kind === "locator", mask: false }, show, (now) => results.forEach((r) => r.picture && r.picture.show(now))));
}

for (const id of ["files", "folder"]) at(id).addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
document.addEventListener("paste", (event) => add(event.clipboardData.files));
document.addEventListener("dragover", (event) => { event.preventDefault(); at("drop").classList.add("over"); });
document.addEventListener("dragleave", () => at("drop").classList.remove("over"));
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  at("drop").classList.remove("over");
  add(await droppedFiles(event.dataTransfer));
});
/** Files, and those of dropped folders. */
async function droppedFiles(transfer) {
  const roots = [...transfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
  if (roots.length === 0) return transfer.files;
  const files = [];
  const walk = async (entry) => {
    if (entry.isFile) return void files.push(await new Promise((ok, no) => entry.file(ok, no)));
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((ok, no) => reader.readEntries(ok, no));
      if (some.length === 0) return;
      for (const inner of some) await walk(inner);
    }
  };
  for (const root of roots) await walk(root);
  return files;
}
at("save-json").addEventListener("click", () => save("telltale.json", "application/json", JSON.stringify(results.map(({ said: { layers, ...rest } }) => rest), null, 2)));
at("save-report").addEventListener("click", saveReport);
at("tools").addEventListener("submit", (event) => event.preventDefault());
begin();
