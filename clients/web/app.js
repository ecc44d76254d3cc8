// The page put together: it draws the parts anew when something changed, at most ten times a second.

import { html, render } from "./vendor/lit-html.js";
import { forgetColours } from "./loop.js";
import { keys } from "./keys.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { t, useStrings } from "./words.js";
import { announce, announcer } from "./parts/announcer.js";
import { detections } from "./parts/detections.js";
import { firstRun } from "./parts/first.js";
import { header } from "./parts/header.js";
import { hearing } from "./parts/hearing.js";
import { microphone } from "./parts/microphone.js";
import { sources } from "./parts/sources.js";
import { Timeline, timeline } from "./parts/timeline.js";
import { tokenDialog } from "./parts/token.js";

const DRAW_EVERY = 100; // ms
const THEMES = ["auto", "light", "dark"];

const store = new Store();
let waiting = false;
let drawn = 0;

/** What the parts share: the state, the connection, and what the user has chosen. */
const page = {
  store,
  draw,
  view: { tuning: null, typing: null, open: null, paused: false, selected: null, filter: {}, menu: false, notes: new Map(), twins: new Set() },
  theme: document.documentElement.dataset.theme,
  nextTheme() {
    page.theme = THEMES[(THEMES.indexOf(page.theme) + 1) % THEMES.length];
    localStorage.setItem("earmark.theme", page.theme);
    document.documentElement.dataset.theme = page.theme;
    forgetColours();
    draw();
  },
};
page.stream = new Stream(store, draw, (kind, event) => {
  if (kind === "label") announce(page, event);
  draw();
});
page.timeline = new Timeline(page);

function draw() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => requestAnimationFrame(now), Math.max(0, drawn + DRAW_EVERY - performance.now()));
}

function now() {
  waiting = false;
  drawn = performance.now();
  store.prune(Date.now());
  document.documentElement.classList.toggle("stale", page.stream.stale && store.known);
  document.documentElement.classList.toggle("gateway", store.gateway);
  render(body(), document.body);
}

const body = () => html`
  <a class="skip" href="#hearing">${t("skip")}</a>
  ${header(page)}
  <main>
    ${firstRun(page)}
    <div class="columns">
      <div class="side">${sources(page)} ${microphone(page)}</div>
      <div class="centre">${hearing(page)} ${timeline(page)}</div>
    </div>
    ${detections(page)}
    <footer>
      ${t("footer", { version: store.version || "…" })} <a href="docs">${t("footer.docs")}</a>
      <span class="keys">${t("footer.keys")}</span>
    </footer>
  </main>
  ${tokenDialog(page)} ${announcer(page)}
`;

const words = await fetch(new URL("strings.json", import.meta.url));
useStrings(await words.json());
document.title = "Earmark";
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forgetColours);
globalThis.earmark = page; // for the curious, and for tests
page.stream.start();
keys(page);
setInterval(draw, 1000); // silence is told too
draw();
