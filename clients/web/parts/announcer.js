// What a screen reader says: labels that go on and off, and nothing else.

import { html } from "../vendor/lit-html.js";
import { score, t } from "../words.js";

const MOST = 5;
const OLDEST = 10_000; // ms; what was replayed after a lost connection is not read out

const said = [];

export function announce(page, event) {
  if (page.store.time(Date.now()) - Date.parse(event.time) > OLDEST) return;
  const key = event.state === "on" ? "log.on" : "log.off";
  said.push({ id: event.seq, text: t(key, { ...event, score: score(event.score) }) });
  if (said.length > MOST) said.shift();
}

export const announcer = () => html`
  <div class="vh" role="log" aria-live="polite" aria-label=${t("log")}>${said.map(({ text }) => html`<p>${text}</p>`)}</div>
`;
