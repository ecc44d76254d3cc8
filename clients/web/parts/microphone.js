// This browser's microphone as a source of the daemon.

import { html, nothing } from "../vendor/lit-html.js";
import { Microphone } from "../mic.js";
import { seconds, t } from "../words.js";

let sending = null; // the microphone that is in use
let problem = "";

function networkSources(store) {
  return [...store.settings.values()].filter(({ settings }) => settings?.kind === "network").map(({ name }) => name);
}

export function microphone(page) {
  const names = networkSources(page.store);
  return html`
    <section class="lend" aria-labelledby="mic-title">
      <h2 id="mic-title">${t("mic")}</h2>
      <div class="card mic">${content(page, names)} ${problem ? html`<p class="error" role="alert">${problem}</p>` : nothing}</div>
    </section>
  `;
}

function content(page, names) {
  if (!globalThis.isSecureContext) return insecure();
  if (!navigator.mediaDevices?.getUserMedia) return html`<p>${t("mic.unsupported")}</p>`;
  if (!names.length) return html`<p>${t("mic.source")}</p><pre class="toml" tabindex="0">${t("mic.toml")}</pre>`;
  if (sending) {
    return html`
      <p class="state ok"><i aria-hidden="true"></i>${t("mic.sending", { source: sending.source, khz: sending.rate / 1000 })}</p>
      ${sending.dropped ? html`<p class="error">${t("mic.dropped", { s: seconds(sending.dropped) })}</p>` : nothing}
      <button class="primary" @click=${() => stop(page)}>${t("mic.stop")}</button>`;
  }
  return html`
    <p>${t("mic.text")}</p>
    <div class="actions">
      ${names.map((name) => html`<button class="primary" @click=${() => start(page, name)}>${t("mic.start", { source: name })}</button>`)}
    </div>`;
}

/** A browser gives its microphone to secure origins alone. Here is why this is none, and two ways to one. */
function insecure() {
  const port = location.port || "80";
  const https = `https://${location.hostname}${location.pathname}`;
  const tunnel = `ssh -L ${port}:localhost:${port} ${location.hostname}`;
  return html`
    <p>${t("mic.insecure", { origin: location.origin })}</p>
    <ol><li>${t("mic.https")} <code>${https}</code></li>
      <li>${t("mic.tunnel")} <code>${tunnel}</code> <code>http://localhost:${port}${location.pathname}</code></li></ol>`;
}

async function start(page, source) {
  problem = "";
  sending = new Microphone(page.stream.client, source, (sentence) => {
    problem = sentence ?? "";
    sending = null;
    page.draw();
  });
  try {
    await sending.start();
  } catch (error) {
    sending?.stop();
    sending = null;
    problem = error.name === "NotAllowedError" ? t("mic.denied") : error.name === "NotFoundError" ? t("mic.absent") : error.message;
  }
  page.draw();
}

function stop(page) {
  sending?.stop();
  sending = null;
  page.draw();
}
