// Why a label went on, and what can be done with it: its sound can be played, if the daemon keeps it.

import { html, nothing } from "../vendor/lit-html.js";
import { hear } from "../player.js";
import { plain, score, seconds, t, whySentence } from "../words.js";

export function why(page, span) {
  const { event, off } = span;
  const length = span.to === null ? null : (span.to - span.from) / 1000;
  const facts = [
    [t("classifier"), span.classifier],
    [t("source"), span.source],
    [t("score"), score(span.score)],
    span.peak === undefined ? null : [t("peak"), score(span.peak)],
    length === null ? null : [t("duration"), seconds(length)],
    span.reason ? [t("reason"), t(`reason.${span.reason}`)] : null,
    event.lag === undefined ? null : [t("lag.name"), seconds(event.lag)],
    [t("id"), span.id],
  ].filter(Boolean);
  return html`
    <div class="why">
      <p><b>${plain(span.label)}</b> — ${event.state === "off" ? t("why.before") : whySentence(event)}</p>
      <dl>${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
      <div class="actions">
        <button class="quiet small" @click=${() => copy(page, span, JSON.stringify(off ? [event, off] : event, null, 1), "json")}>
          ${said(page, span, "json", "copy.json")}</button>
        <button class="quiet small" @click=${() => copy(page, span, linkOf(span), "link")}>${said(page, span, "link", "copy.link")}</button>
        ${event.clip || off?.clip ? html`<button class="quiet small play" aria-pressed=${page.view.heard?.id === span.id && page.view.heard.playing}
          @click=${() => hear(page, span.id)}>${t(page.view.heard?.id === span.id && page.view.heard.playing ? "clip.stop" : "clip.play")}</button>` : nothing}
        ${page.view.heard?.id === span.id && page.view.heard.problem ? html`<span class="error" role="status">${page.view.heard.problem}</span>` : nothing}
      </div>
    </div>
  `;
}

/** A link to this detection: its id, and its time, because history is asked for by time. */
export function linkOf(span) {
  const link = new URL(location.href);
  link.hash = new URLSearchParams({ id: span.id, at: new Date(span.from).toISOString() });
  return String(link);
}

const said = (page, span, kind, key) => t(page.view.copied === `${kind} ${span.id}` ? "copied" : key);

async function copy(page, span, text, kind) {
  await navigator.clipboard?.writeText(text).then(() => (page.view.copied = `${kind} ${span.id}`), () => {});
  page.draw();
}
